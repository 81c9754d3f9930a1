import type { BreakerState, FlowState, Hold, ProcessState, SiteLimit, SiteState } from "@tyto/contracts";
import type { Activity } from "./activity.ts";
import type { InHand } from "./in-hand.ts";

/** What this process knows of itself; parts that are not wired tell nothing. */
export type StatePorts = {
  process: string;
  startedAtMs: number;
  activity: Activity;
  connections(): { open: number; idle: number; max: number };
  inHand(): InHand;
  limitsOf(site: string): SiteLimit[];
  holds(): readonly Hold[];
  breakers(): readonly BreakerState[];
  now: () => number;
};

const sitesMax = 500;
const groupsMax = 300;
const breakersMax = 300;
const limitsMax = 16;

/** One process as it stands. */
export function processState(of: StatePorts): ProcessState {
  const held = of.holds();
  const ports = { ...of, holds: () => held };
  const { process, startedAtMs, activity } = ports;
  const inHand = ports.inHand();
  const sites = knownSites(ports, inHand)
    .map((known) => stateOf(ports, known, ports.limitsOf(known.site), inHand))
    .sort((one, other) => weight(other) - weight(one))
    .slice(0, sitesMax);
  const group = (kind: "organization" | "campaign") =>
    activity.busy(kind, groupsMax).map(({ key, lastMinute }) => ({
      key,
      ...heldBy(ports.holds(), kind, key),
      lastMinute,
    }));
  return {
    ...{ process, startedAtMs, sites },
    connections: ports.connections(),
    inHand: inHand.total,
    lastMinute: activity.total(),
    organizations: group("organization"),
    campaigns: group("campaign"),
    breakers: ports.breakers().slice(0, breakersMax),
  };
}

/** `undefined` for a site that nothing is known of. */
export function siteState(ports: StatePorts, site: string): SiteState | undefined {
  const inHand = ports.inHand();
  const known = knownSites(ports, inHand).find((one) => one.site === site);
  const limits = ports.limitsOf(site);
  if (known === undefined && limits.length === 0) return undefined;
  return stateOf(ports, known ?? { site }, limits, inHand);
}

type Known = { site: string; provider?: string };

/** Also those that have answered nothing yet, such as a tarpit: that mail stands there is what an operator looks for. */
function knownSites({ activity }: StatePorts, { bySite }: InHand): Known[] {
  const seen = activity.sites();
  const names = new Set(seen.map(({ site }) => site));
  return [...seen, ...[...bySite.keys()].filter((site) => !names.has(site)).map((site) => ({ site }))];
}

function stateOf(
  { activity, holds }: StatePorts,
  { site, provider }: Known,
  limits: readonly SiteLimit[],
  { bySite }: InHand,
): SiteState {
  const held = heldBy(holds(), "site", site);
  return {
    site,
    ...(provider === undefined ? {} : { provider }),
    ...(held.state === "held" ? held : flowOf(limits)),
    connections: limits.reduce((sum, { connections = 0 }) => sum + connections, 0),
    inHand: bySite.get(site) ?? 0,
    lastMinute: activity.of("site", site),
    limits: limits.slice(0, limitsMax),
  };
}

type Flow = { state: FlowState; untilMs?: number; why?: string };

/** The way that is open decides: a site is suspended when all our addresses are. That mail takes another way is told, too. */
export function flowOf(limits: readonly SiteLimit[]): Flow {
  const order = ["open", "slowed", "suspended", "held"] as const;
  const [best] = limits.toSorted(
    (one, other) =>
      order.indexOf(one.state) - order.indexOf(other.state) || (one.untilMs ?? 0) - (other.untilMs ?? 0),
  );
  if (best === undefined) return { state: "open" };
  const { state, untilMs } = best;
  const why = best.why ?? limits.find(({ pool }) => pool !== undefined)?.why;
  return { state, ...(untilMs === undefined ? {} : { untilMs }), ...(why === undefined ? {} : { why }) };
}

/** Everything held counts for each site, organisation and campaign. */
export function heldBy(holds: readonly Hold[], scope: Hold["scope"], id: string): Flow {
  const hold = holds.find(
    (one) =>
      one.scope === "everything" ||
      (one.scope === scope && (one.id === id || (scope === "campaign" && one.id.endsWith(`/${id}`)))),
  );
  if (hold === undefined) return { state: "open" };
  const { untilMs, why, by } = hold;
  return { state: "held", why: `held by ${by}: ${why}`, ...(untilMs === undefined ? {} : { untilMs }) };
}

const weight = ({ state, lastMinute, connections, inHand }: SiteState) =>
  (state === "open" ? 0 : 1_000_000) +
  inHand +
  lastMinute.delivered +
  lastMinute.deferred +
  lastMinute.bounced +
  connections;
