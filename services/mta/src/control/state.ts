import {
  type BreakerState,
  type Hold,
  type ProcessState,
  phrase,
  type SiteLimit,
  type SiteState,
  type WaitReason,
} from "@tyto/contracts";
import type { Refused } from "../egress/egresses.ts";
import type { Closed } from "../egress/reach.ts";
import { heldWords } from "../holds/holds.ts";
import { type Activity, sum } from "./activity.ts";
import { type Flow, type PoolMembers, poolFlow, refusedLimit, sentence, siteFlow } from "./flow.ts";
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
  /** Addresses of ours that reach no server at all. */
  closed(): readonly Closed[];
  /** Which addresses share the mail of each pool; none where pools are not known. */
  pools: readonly PoolMembers[];
  /** Sites that are not open, and those that an address may not send to; some more than once. */
  limitedSites(): string[];
  holds(): readonly Hold[];
  breakers(): readonly BreakerState[];
  now: () => number;
};

/** Why a site waits where no server at all can be reached from an address of ours. */
const closedAt = ({ closed }: StatePorts, site: string): string | undefined =>
  closed().find(({ sites }) => sites.has(site))?.why;

const sitesMax = 500;
const groupsMax = 300;
const breakersMax = 300;
const limitsMax = 16;
const waitsMax = 1_000;
const slowMs = 60_000;

/** One process as it stands. */
export function processState(of: StatePorts): ProcessState {
  const held = of.holds();
  const closed = of.closed();
  const ports = { ...of, holds: () => held, closed: () => closed };
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
    breakers: ports
      .breakers()
      .slice(0, breakersMax)
      .map((breaker) => withHold(breaker, held)),
    waits: waitsOf(ports, inHand),
  };
}

/** What an open breaker counted stands in the hold that it made. */
function withHold(breaker: BreakerState, holds: readonly Hold[]): BreakerState {
  if (breaker.state !== "open" || breaker.why !== undefined) return breaker;
  const { scope, id } = breaker;
  const own = holds.find((hold) => hold.scope === scope && hold.id === id && hold.site === undefined);
  return own === undefined ? breaker : { ...breaker, why: own.why };
}

/** Why mail waits where nothing stops it: slow servers first, of which nothing is heard, then what was heard last. */
function waitsOf(ports: StatePorts, inHand: InHand): WaitReason[] {
  const slow = [...inHand.bySite.keys()].flatMap((site) => slowAt(ports, site, inHand) ?? []);
  const names = new Set(slow.map(({ place }) => place));
  return [...slow, ...ports.waits.list(waitsMax).filter(({ place }) => !names.has(place))]
    .slice(0, waitsMax)
    .map((wait) => withClosed(ports, wait));
}

/** What was heard last of a site matters less than that nobody can be reached. */
function withClosed(ports: StatePorts, wait: WaitReason): WaitReason {
  const why = closedAt(ports, wait.place);
  return why === undefined ? wait : { ...wait, why };
}

/** The same of one site or domain. */
export function waitOf(ports: StatePorts, place: string): WaitReason | undefined {
  const wait = slowAt(ports, place, ports.inHand()) ?? ports.waits.of(place);
  return wait && withClosed(ports, wait);
}

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
  ports: StatePorts,
  { site, provider }: Known,
  limits: readonly SiteLimit[],
  { bySite }: InHand,
): SiteState {
  const { activity, refusedAt, pools } = ports;
  const all = ports.holds();
  const held = heldBy(all, "site", site);
  const senders = all.filter((hold) => hold.site === site);
  const refused = refusedAt(site);
  const open = withSenders(poolFlow(siteFlow(limits, pools), limits, refused, pools), senders);
  const closed = closedAt(ports, site);
  return {
    site,
    ...(provider === undefined ? {} : { provider }),
    ...(held.state === "held"
      ? held
      : closed === undefined
        ? open
        : { ...open, why: sentence([closed, open.why]) }),
    connections: limits.reduce((sum, { connections = 0 }) => sum + connections, 0),
    inHand: bySite.get(site) ?? 0,
    lastMinute: activity.of("site", site),
    limits: limits.slice(0, limitsMax).map((limit) => refusedLimit(limit, refused)),
  };
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
