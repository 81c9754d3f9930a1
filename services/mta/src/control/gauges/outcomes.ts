import { providerOf } from "@tyto/contracts";
import { BoundedMap, Counter, type Registry } from "@tyto/service";
import type { Observation } from "../../observation.ts";

const providersMax = 100;

/** Counts what came of deliveries. The call is made for each outcome as it was decided. */
export function createOutcomeCounter(registry: Registry): (observation: Observation) => void {
  const seen = new BoundedMap<string, true>(providersMax);
  const outcomes = new Counter({
    name: "tyto_mta_outcomes_total",
    help: "Deliveries, deferrals and bounces by the recipients' provider and the reason",
    labelNames: ["outcome", "provider", "reason"] as const,
    registers: [registry],
  });
  return ({ entry, outcome, reason, site, conversation }) => {
    // The domain of an address that is nobody's large provider is as good as a label of its own.
    const name = site.provider ?? providerOf(entry.recipient, conversation?.mx);
    const isLarge = !name.includes(".") || name === "mail.ru";
    if (isLarge && seen.size < providersMax) seen.set(name, true);
    outcomes.inc({ outcome, provider: isLarge && seen.has(name) ? name : "other", reason: reason ?? "" });
  };
}
