import {
  type BreakerState,
  type FlowState,
  flowStates,
  type Hold,
  type ProcessState,
  phrase,
  type SiteLimit,
  type SiteState,
  shortened,
  traffics,
  type WaitReason,
} from "@tyto/contracts";
import type { Refused } from "../egress/egresses.ts";
import { heldWords } from "../holds/holds.ts";
import { type Activity, sum } from "./activity.ts";
import type { InHand } from "./in-hand.ts";
import type { Waits } from "./waits.ts";

/** What this process knows of itself; parts that are not wired tell nothing. */
export type StatePorts = {
  process: string;
  startedAtMs: number;
  activity: Activity;
  waits: Pick<Waits, "of" | "list">;
  connections(): { open: number; idle: number; max: number };
  inHand(): InHand;
  limitsOf(site: string): SiteLimit[];
  refusedAt(site: string): readonly Refused[];
  /** Sites that are not open, and those that an address may not send to; some more than once. */
  limitedSites(): string[];
  holds(): readonly Hold[];
  breakers(): readonly BreakerState[];
  now: () => number;
};

const sitesMax = 500;
const groupsMax = 300;
const breakersMax = 300;
const limitsMax = 16;
const waitsMax = 1_000;
const slowMs = 60_000;

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
    waits: waitsOf(ports, inHand),
  };
}

/** Why mail waits where nothing stops it: slow servers first, of which nothing is heard, then what was heard last. */
function waitsOf(ports: StatePorts, inHand: InHand): WaitReason[] {
  const slow = [...inHand.bySite.keys()].flatMap((site) => slowAt(ports, site, inHand) ?? []);
  const names = new Set(slow.map(({ place }) => place));
  return [...slow, ...ports.waits.list(waitsMax).filter(({ place }) => !names.has(place))].slice(0, waitsMax);
}

/** The same of one site or domain. */
export const waitOf = (ports: StatePorts, place: string): WaitReason | undefined =>
  slowAt(ports, place, ports.inHand()) ?? ports.waits.of(place);

/** A tarpit, or a server that hangs: for a minute there has been mail in hand and no outcome. */
function slowAt({ activity, now }: StatePorts, site: string, inHand: InHand): WaitReason | undefined {
  const sinceMs = inHand.sinceMs.get(site);
  if (sinceMs === undefined || now() - sinceMs < slowMs || sum(activity.of("site", site)) > 0)
    return undefined;
  const why = phrase("wait.slow", { count: inHand.bySite.get(site) ?? 0 });
  return { place: site, why, atMs: now() };
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

/** Also those that have answered nothing yet, such as a tarpit, or are not asked: that mail stands there is what an operator looks for. */
function knownSites({ activity, limitedSites }: StatePorts, { bySite }: InHand): Known[] {
  const seen = activity.sites();
  const names = new Set(seen.map(({ site }) => site));
  const others = new Set([...bySite.keys(), ...limitedSites()]);
  return [...seen, ...[...others].filter((site) => !names.has(site)).map((site) => ({ site }))];
}

function stateOf(
  { activity, holds, refusedAt }: StatePorts,
  { site, provider }: Known,
  limits: readonly SiteLimit[],
  { bySite }: InHand,
): SiteState {
  const all = holds();
  const held = heldBy(all, "site", site);
  const senders = all.filter((hold) => hold.site === site);
  const refused = refusedAt(site);
  return {
    site,
    ...(provider === undefined ? {} : { provider }),
    ...(held.state === "held" ? held : withSenders(poolFlow(flowOf(limits), limits, refused), senders)),
    connections: limits.reduce((sum, { connections = 0 }) => sum + connections, 0),
    inHand: bySite.get(site) ?? 0,
    lastMinute: activity.of("site", site),
    limits: limits.slice(0, limitsMax).map((limit) => refusedLimit(limit, refused)),
  };
}

const whyCharsMax = 500;
const sentence = (parts: readonly (string | undefined)[]) =>
  shortened(parts.filter((part) => part !== undefined).join("; "), whyCharsMax);

/** What an address may not send stands before what the site said. */
function refusedLimit(limit: SiteLimit, refused: readonly Refused[]): SiteLimit {
  const own = refused.filter(({ egress }) => egress === limit.egress);
  if (own.length === 0) return limit;
  const reasons = own.map(({ traffic, why }) => phrase("flow.no-traffic", { traffic, why }));
  return { ...limit, why: sentence([...reasons, limit.why]) };
}

/**
 * Mail waits for our own addresses, too: where none that the site takes mail from may send it, that is why. The site's state stays
 * that of what may be sent; when nothing may, it is as good as suspended.
 */
export function poolFlow(flow: Flow, limits: readonly SiteLimit[], refused: readonly Refused[]): Flow {
  const stopped = traffics.flatMap((traffic) => {
    const reasons = refused.filter((one) => one.traffic === traffic);
    const others = limits.filter(({ egress }) => reasons.every((one) => one.egress !== egress));
    const isStopped = reasons.length > 0 && others.every(({ state }) => isLeftAlone(state));
    return isStopped ? { traffic, reasons, others } : [];
  });
  if (stopped.length === 0) return flow;
  const why = sentence(
    stopped.flatMap(({ traffic, reasons, others }) => [
      phrase("flow.none-may-send", { traffic }),
      ...reasons.map((one) => one.why),
      ...others.map(({ egress, why, state }) => phrase("flow.left-alone", { egress, why: why ?? state })),
    ]),
  );
  const least: FlowState = stopped.length === traffics.length ? "suspended" : "slowed";
  const isStricter = flowStates.indexOf(least) > flowStates.indexOf(flow.state);
  return isStricter ? { state: least, why } : { ...flow, why };
}

const isLeftAlone = (state: FlowState) => state === "suspended" || state === "held";

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

/** Everything held counts for each site, organisation and campaign. Who is held at some sites alone is open, and it is told. */
export function heldBy(holds: readonly Hold[], scope: Hold["scope"], id: string): Flow {
  // A campaign is named alone or behind its organization, by whoever holds it and by whoever asks.
  const isSame = (one: string) =>
    one === id || (scope === "campaign" && (one.endsWith(`/${id}`) || id.endsWith(`/${one}`)));
  const about = holds.filter((one) => one.scope === "everything" || (one.scope === scope && isSame(one.id)));
  const hold = about.find(({ site }) => site === undefined);
  if (hold === undefined)
    return about.length === 0 ? { state: "open" } : { state: "open", why: atSites(about) };
  const { untilMs, why, by } = hold;
  return {
    state: "held",
    why: phrase("flow.held", { by, why }),
    ...(untilMs === undefined ? {} : { untilMs }),
  };
}

/** Some senders' mail waits at a site that takes that of others: it is told beside what the site does. */
const withSenders = (flow: Flow, held: readonly Hold[]): Flow =>
  held.length === 0
    ? flow
    : {
        ...flow,
        why: sentence([flow.why, ...held.map(heldWords)]),
      };

const atSites = (holds: readonly Hold[]) =>
  sentence(holds.map(({ site, by, why }) => phrase("flow.held-at", { site: site ?? "", by, why })));

const weight = ({ state, lastMinute, connections, inHand }: SiteState) =>
  (state === "open" ? 0 : 1_000_000) +
  inHand +
  lastMinute.delivered +
  lastMinute.deferred +
  lastMinute.bounced +
  connections;
