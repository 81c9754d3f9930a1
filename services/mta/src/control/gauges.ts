import {
  type ControlAnswer,
  type FlowState,
  flowStates,
  type PoolState,
  type ProcessState,
  providerOf,
  type RuleState,
  type SiteState,
  type Waiting,
} from "@tyto/contracts";
import { BoundedMap, Counter, Gauge, type Registry } from "@tyto/service";
import type { Observation } from "../observation.ts";
import { sum } from "./activity.ts";

export type GaugePorts = {
  state(): ProcessState;
  count(): Promise<ControlAnswer<"mta.queue">>;
  pools(): PoolState[];
  rules(): RuleState[];
  now: () => number;
};

/** Sites with a label of their own; the others are counted together, so that nobody can make the numbers grow without end. */
const sitesMax = 100;
const providersMax = 100;
const egressesMax = 100;
const rulesMax = 200;
/** The queue is counted again at most so often, and never for more than a twentieth of the time. */
const countEveryMs = 60_000;
const countShare = 20;

/** What Prometheus sees of operation. Labels are bounded; what is beyond is `other`. */
export function createGauges(registry: Registry, ports: GaugePorts) {
  const registers = [registry];
  const seenProviders = new BoundedMap<string, true>(providersMax);
  const outcomes = new Counter({
    name: "tyto_mta_outcomes_total",
    help: "Deliveries, deferrals and bounces by the recipients' provider and the reason",
    labelNames: ["outcome", "provider", "reason"] as const,
    registers,
  });

  const queue = keptCount(ports);
  waitingGauge(
    "tyto_mta_queue_entries",
    "Entries of the queue by class, as counted within the last minutes",
    ({ entries }) => entries,
  );
  waitingGauge(
    "tyto_mta_queue_oldest_seconds",
    "Age of the oldest entry of the queue by class",
    ({ oldestAtMs }) => (oldestAtMs === undefined ? 0 : Math.max(0, ports.now() - oldestAtMs) / 1_000),
  );
  function waitingGauge(name: string, help: string, value: (waiting: Waiting) => number) {
    new Gauge({
      name,
      help,
      labelNames: ["traffic"] as const,
      registers,
      collect() {
        for (const one of queue()?.classes ?? []) this.set({ traffic: one.traffic }, value(one));
      },
    });
  }

  new Gauge({
    name: "tyto_mta_in_hand",
    help: "Deliveries that are being tried at this moment",
    registers,
    collect() {
      this.set(ports.state().inHand);
    },
  });
  siteGauge("tyto_mta_site_connections", "SMTP connections to a site", ({ connections }) => connections);
  siteGauge(
    "tyto_mta_site_rate_limit",
    "Messages a minute that a site may have, over our addresses; 0 is without limit",
    ({ limits }) => limits.reduce((all, limit) => all + (limit.ratePerMinuteMax ?? 0), 0),
  );
  function siteGauge(name: string, help: string, value: (site: SiteState) => number) {
    new Gauge({
      name,
      help,
      labelNames: ["site"] as const,
      registers,
      collect() {
        this.reset();
        for (const [site, states] of labelled(ports.state().sites))
          this.set(
            { site },
            states.reduce((all, state) => all + value(state), 0),
          );
      },
    });
  }
  new Gauge({
    name: "tyto_mta_site_outcomes_per_minute",
    help: "What came of attempts in the last minute, by site",
    labelNames: ["site", "outcome"] as const,
    registers,
    collect() {
      this.reset();
      for (const [site, states] of labelled(ports.state().sites))
        for (const outcome of ["delivered", "deferred", "bounced"] as const)
          this.set(
            { site, outcome },
            states.reduce((all, { lastMinute }) => all + lastMinute[outcome], 0),
          );
    },
  });
  new Gauge({
    name: "tyto_mta_sites",
    help: "Sites by state",
    labelNames: ["state"] as const,
    registers,
    collect() {
      const states = Map.groupBy(ports.state().sites, ({ state }) => state);
      for (const state of flowStates) this.set({ state }, states.get(state)?.length ?? 0);
    },
  });
  new Gauge({
    name: "tyto_mta_site_state",
    help: "0 open, 1 slowed, 2 suspended, 3 held",
    labelNames: ["site"] as const,
    registers,
    collect() {
      this.reset();
      for (const [site, states] of labelled(ports.state().sites))
        this.set({ site }, Math.max(...states.map(({ state }) => numberOf(state))));
    },
  });
  new Gauge({
    name: "tyto_mta_breakers_open",
    help: "Organisations and campaigns whose sending a breaker holds",
    registers,
    collect() {
      this.set(ports.state().breakers.filter(({ state }) => state === "open").length);
    },
  });
  new Gauge({
    name: "tyto_mta_rule_fired",
    help: "How often a rule fired since the start",
    labelNames: ["rule"] as const,
    registers,
    collect() {
      this.reset();
      for (const { rule, fired } of ports.rules().slice(0, rulesMax)) this.set({ rule }, fired);
    },
  });
  const egresses = () =>
    ports
      .pools()
      .flatMap(({ pool, egresses: list }) => list.map((egress) => ({ pool, ...egress })))
      .slice(0, egressesMax);
  new Gauge({
    name: "tyto_mta_egress_in",
    help: "1 while an address is in its pool, 0 while it is out",
    labelNames: ["pool", "egress"] as const,
    registers,
    collect() {
      this.reset();
      for (const { pool, egress, state } of egresses()) this.set({ pool, egress }, state === "in" ? 1 : 0);
    },
  });
  new Gauge({
    name: "tyto_mta_warming_messages",
    help: "Messages of an address that is being warmed: used today, and its cap",
    labelNames: ["egress", "kind"] as const,
    registers,
    collect() {
      this.reset();
      for (const { egress, warming } of egresses()) {
        if (warming?.cap === undefined) continue;
        this.set({ egress, kind: "used" }, warming.used);
        this.set({ egress, kind: "cap" }, warming.cap);
      }
    },
  });

  return {
    see({ entry, outcome, reason, site, conversation }: Observation): void {
      // The domain of an address that is nobody's large provider is as good as a label of its own.
      const name = site.provider ?? providerOf(entry.recipient, conversation?.mx);
      const isLarge = !name.includes(".") || name === "mail.ru";
      if (isLarge && seenProviders.size < providersMax) seenProviders.set(name, true);
      outcomes.inc({
        outcome,
        provider: isLarge && seenProviders.has(name) ? name : "other",
        reason: reason ?? "",
      });
    },
  };
}

const numberOf = (state: FlowState) => flowStates.indexOf(state);

/** The busiest and the sick ones by name, the rest as `other`. */
export function labelled(sites: readonly SiteState[]): Map<string, SiteState[]> {
  const sorted = sites.toSorted(
    (one, other) =>
      sum(other.lastMinute) - sum(one.lastMinute) || numberOf(other.state) - numberOf(one.state),
  );
  const named = new Map(sorted.slice(0, sitesMax).map((state) => [state.site, [state]]));
  if (sorted.length > sitesMax) named.set("other", sorted.slice(sitesMax));
  return named;
}

/** The last count of the queue; an old one is told while a new one is made, and none before the first. */
function keptCount({ count, now }: Pick<GaugePorts, "count" | "now">) {
  let last: ControlAnswer<"mta.queue"> | undefined;
  let notBeforeMs = 0;
  return () => {
    const startedMs = now();
    if (startedMs >= notBeforeMs) {
      notBeforeMs = Number.POSITIVE_INFINITY;
      count()
        .then((counted) => {
          last = counted;
        })
        // Without NATS there is no number; the bus says why.
        .catch(() => {
          last = undefined;
        })
        .finally(() => {
          notBeforeMs = now() + Math.max(countEveryMs, countShare * (now() - startedMs));
        });
    }
    return last;
  };
}
