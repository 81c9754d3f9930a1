import { type FlowState, flowStates, type ProcessState, type SiteState } from "@tyto/contracts";
import type { Registry } from "@tyto/service";
import { sum } from "../activity.ts";
import { gaugeOf } from "./gauge.ts";

/** Sites with a label of their own; the others are counted together, so that nobody can make the numbers grow without end. */
const sitesMax = 100;

/** Connections, limits, outcomes and states of sites. */
export function createSiteGauges(registry: Registry, state: () => Pick<ProcessState, "sites">): void {
  const ofSites = (name: string, help: string, value: (states: readonly SiteState[]) => number) =>
    gaugeOf(registry, name, help, ["site"], () =>
      Array.from(labelled(state().sites), ([site, states]) => ({ labels: { site }, value: value(states) })),
    );

  ofSites("tyto_mta_site_connections", "SMTP connections to a site", (states) =>
    total(states, ({ connections }) => connections),
  );
  ofSites(
    "tyto_mta_site_rate_limit",
    "Messages a minute that a site may have, over our addresses; 0 is without limit",
    (states) => total(states, ({ limits }) => total(limits, ({ ratePerMinuteMax }) => ratePerMinuteMax ?? 0)),
  );
  ofSites("tyto_mta_site_state", "0 open, 1 slowed, 2 suspended, 3 held", (states) =>
    Math.max(...states.map((one) => rankOf(one.state))),
  );
  gaugeOf(
    registry,
    "tyto_mta_site_outcomes_per_minute",
    "What came of attempts in the last minute, by site",
    ["site", "outcome"],
    () =>
      Array.from(labelled(state().sites)).flatMap(([site, states]) =>
        (["delivered", "deferred", "bounced"] as const).map((outcome) => ({
          labels: { site, outcome },
          value: total(states, ({ lastMinute }) => lastMinute[outcome]),
        })),
      ),
  );
  gaugeOf(registry, "tyto_mta_sites", "Sites by state", ["state"], () => {
    const byState = Map.groupBy(state().sites, (site) => site.state);
    return flowStates.map((flow) => ({ labels: { state: flow }, value: byState.get(flow)?.length ?? 0 }));
  });
}

const total = <T>(list: readonly T[], value: (one: T) => number) =>
  list.reduce((all, one) => all + value(one), 0);

const rankOf = (state: FlowState) => flowStates.indexOf(state);

/** The busiest and the sick ones by name, the rest as `other`. */
export function labelled(sites: readonly SiteState[]): Map<string, SiteState[]> {
  const sorted = sites.toSorted(
    (one, other) => sum(other.lastMinute) - sum(one.lastMinute) || rankOf(other.state) - rankOf(one.state),
  );
  const named = new Map(sorted.slice(0, sitesMax).map((state) => [state.site, [state]]));
  if (sorted.length > sitesMax) named.set("other", sorted.slice(sitesMax));
  return named;
}
