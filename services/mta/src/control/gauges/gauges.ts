import type { PoolState, ProcessState, RuleState } from "@tyto/contracts";
import type { Registry } from "@tyto/service";
import type { Observation } from "../../observation.ts";
import { createEgressGauges } from "./egresses.ts";
import { gaugeOf, numberOf } from "./gauge.ts";
import { keptFor } from "./kept.ts";
import { createOutcomeCounter } from "./outcomes.ts";
import { createQueueGauges, type QueueGaugePorts } from "./queue.ts";
import { createSiteGauges } from "./sites.ts";

export type GaugePorts = QueueGaugePorts & {
  state(): ProcessState;
  pools(): PoolState[];
  rules(): RuleState[];
};

const rulesMax = 200;
/** The gauges of one reading are told within this time. */
const readingMs = 1_000;

/** What Prometheus sees of operation. Labels are bounded; what is beyond is `other`. */
export function createGauges(registry: Registry, ports: GaugePorts) {
  const { now } = ports;
  const state = keptFor(readingMs, ports.state, now);
  createQueueGauges(registry, ports);
  createSiteGauges(registry, state);
  createEgressGauges(registry, keptFor(readingMs, ports.pools, now));
  numberOf(
    registry,
    "tyto_mta_in_hand",
    "Deliveries that are being tried at this moment",
    () => state().inHand,
  );
  numberOf(
    registry,
    "tyto_mta_breakers_open",
    "Organisations and campaigns whose sending a breaker holds",
    () => state().breakers.filter((breaker) => breaker.state === "open").length,
  );
  gaugeOf(registry, "tyto_mta_rule_fired", "How often a rule fired since the start", ["rule"], () =>
    ports
      .rules()
      .slice(0, rulesMax)
      .map(({ rule, fired }) => ({ labels: { rule }, value: fired })),
  );
  const see: (observation: Observation) => void = createOutcomeCounter(registry);
  return { see };
}
