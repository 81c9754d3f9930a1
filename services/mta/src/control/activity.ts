import { type LastMinute, noTraffic, type RecentReply, shortened } from "@tyto/contracts";
import { BoundedMap } from "@tyto/service";
import type { Observation, Wayless } from "../observation.ts";

/** What has been going on: outcomes of the last minute by what they belong to, and what sites said. In memory only. */
export type Activity = {
  /** `words`: our own, where no server replied. */
  see(observation: Observation, words?: string): void;
  /** What ended before there was a server: told as the domain's own, and counted nowhere. */
  seeNowhere(observation: Wayless): void;
  total(): LastMinute;
  of(kind: ActivityKind, key: string): LastMinute;
  /** Those with something in the last minute, the busiest first. */
  busy(kind: ActivityKind, countMax: number): { key: string; lastMinute: LastMinute }[];
  /** Sites that anything is known of. */
  sites(): { site: string; provider?: string }[];
  /** The site that a domain's mail went to when we last sent there. */
  siteOf(domain: string): { site: string; provider?: string } | undefined;
  /**
   * Of a site, or of a domain that no site was found for. The newest first; equal ones are counted, and of those that went
   * well one a second is kept.
   */
  replies(site: string): RecentReply[];
};

export const activityKinds = ["site", "organization", "campaign", "egress"] as const;
export type ActivityKind = (typeof activityKinds)[number];

/** Sites, organisations, campaigns, addresses: of each kind, the one that was quiet for longest goes first. */
const keysMax = 10_000;
const domainsMax = 100_000;
const sitesWithRepliesMax = 2_000;
const repliesMax = 50;
/** Domains without a way, and the different ends there: a list of dead domains pushes no site out. */
const waylessMax = 2_000;
const endsMax = 10;
const replyCharsMax = 500;
const deliveredEveryMs = 1_000;
type Replies = { byShape: BoundedMap<string, RecentReply>; deliveredAtMs: number };

const slotMs = 5_000;
const slotCount = 12;
type Slots = { delivered: number[]; deferred: number[]; bounced: number[]; last: number };

export function createActivity(now: () => number): Activity {
  const total = newSlots();
  const slots = {
    site: new BoundedMap<string, Slots>(keysMax),
    organization: new BoundedMap<string, Slots>(keysMax),
    campaign: new BoundedMap<string, Slots>(keysMax),
    egress: new BoundedMap<string, Slots>(keysMax),
  };
  const providers = new BoundedMap<string, string | undefined>(keysMax);
  const domains = new BoundedMap<string, string>(domainsMax);
  const replies = new BoundedMap<string, Replies>(sitesWithRepliesMax);

  const count = (kind: ActivityKind, key: string, { outcome, atMs }: Observation) => {
    const known = slots[kind].get(key) ?? newSlots();
    slots[kind].set(key, known);
    add(known, outcome, atMs);
  };
  const keep = (observation: Observation, domain: string, words: string | undefined) => {
    const { atMs, site, outcome } = observation;
    const known = replies.get(site.id) ?? { byShape: new BoundedMap(repliesMax), deliveredAtMs: 0 };
    // Of thousands a second that all went well, one says as much.
    if (outcome === "delivered" && atMs - known.deliveredAtMs < deliveredEveryMs) return;
    if (outcome === "delivered") known.deliveredAtMs = atMs;
    keepShape(known.byShape, replyOf(observation, domain, words));
    replies.set(site.id, known);
  };
  const wayless = new BoundedMap<string, BoundedMap<string, RecentReply>>(waylessMax);
  const withProvider = (site: string) => {
    const provider = providers.get(site);
    return { site, ...(provider === undefined ? {} : { provider }) };
  };

  return {
    see(observation, words) {
      const { entry, site, egress } = observation;
      const domain = domainOf(entry.recipient);
      add(total, observation.outcome, observation.atMs);
      count("site", site.id, observation);
      count("organization", entry.organizationId, observation);
      count("campaign", entry.campaign ?? "", observation);
      count("egress", egress.id, observation);
      providers.set(site.id, site.provider);
      domains.set(domain, site.id);
      keep(observation, domain, words);
    },
    seeNowhere(observation) {
      // Without a reason nothing was tried: the recipient is on the suppression list.
      if (observation.reason === undefined) return;
      const domain = domainOf(observation.entry.recipient);
      const known = wayless.get(domain) ?? new BoundedMap<string, RecentReply>(endsMax);
      keepShape(known, replyOf(observation, domain, observation.explanation));
      wayless.set(domain, known);
    },
    total: () => read(total, now()),
    of(kind, key) {
      const known = slots[kind].get(key);
      return known === undefined ? noTraffic : read(known, now());
    },
    busy(kind, countMax) {
      const nowMs = now();
      return [...slots[kind]]
        .map(([key, known]) => ({ key, lastMinute: read(known, nowMs) }))
        .filter(({ lastMinute }) => sum(lastMinute) > 0)
        .sort((one, other) => sum(other.lastMinute) - sum(one.lastMinute))
        .slice(0, countMax);
    },
    sites: () => [...slots.site].map(([site]) => withProvider(site)),
    siteOf(domain) {
      const site = domains.get(domain);
      return site === undefined ? undefined : withProvider(site);
    },
    replies: (site) =>
      [...(replies.get(site)?.byShape.values() ?? []), ...(wayless.get(site)?.values() ?? [])]
        .reverse()
        .toSorted((one, other) => other.atMs - one.atMs)
        .slice(0, repliesMax),
  };
}

export const domainOf = (address: string) => address.slice(address.lastIndexOf("@") + 1).toLowerCase();
export const sum = ({ delivered, deferred, bounced }: LastMinute) => delivered + deferred + bounced;

const newSlots = (): Slots => {
  const empty = () => Array.from({ length: slotCount }, () => 0);
  return { delivered: empty(), deferred: empty(), bounced: empty(), last: 0 };
};

const outcomes = ["delivered", "deferred", "bounced"] as const;

/** Empties the slots that time has gone past. */
function forward(slots: Slots, atMs: number): number {
  const slot = Math.max(Math.floor(atMs / slotMs), slots.last);
  for (let old = Math.max(slots.last + 1, slot - slotCount + 1); old <= slot; old++)
    for (const outcome of outcomes) slots[outcome][old % slotCount] = 0;
  slots.last = slot;
  return slot % slotCount;
}

function add(slots: Slots, outcome: Observation["outcome"], atMs: number): void {
  const at = forward(slots, atMs);
  slots[outcome][at] = (slots[outcome][at] ?? 0) + 1;
}

function read(slots: Slots, nowMs: number): LastMinute {
  forward(slots, nowMs);
  const of = (list: readonly number[]) => list.reduce((all, one) => all + one, 0);
  return { delivered: of(slots.delivered), deferred: of(slots.deferred), bounced: of(slots.bounced) };
}

/** Counts what is like it, and remembers it as the last one. */
function keepShape(byShape: Map<string, RecentReply>, fresh: RecentReply): void {
  const shape = shapeOf(fresh);
  const times = (byShape.get(shape)?.times ?? 0) + 1;
  byShape.set(shape, { ...fresh, times });
}

function replyOf(
  {
    atMs,
    outcome,
    reason,
    reply,
    conversation,
    egress,
    madeBy,
  }: Wayless & Partial<Pick<Observation, "egress">>,
  domain: string,
  words: string | undefined,
): RecentReply {
  const said =
    reply === undefined
      ? words
      : [reply.code, reply.enhanced, reply.text, madeBy === "rule" && words ? `(${words})` : undefined]
          .filter((part) => part !== undefined)
          .join(" ");
  return {
    ...{ atMs, outcome, domain, times: 1 },
    ...(egress === undefined ? {} : { egress: egress.id }),
    ...(reason === undefined ? {} : { reason }),
    ...(said === undefined ? {} : { reply: shortened(said.replace(/\s+/g, " "), replyCharsMax) }),
    ...(conversation === undefined ? {} : { mx: conversation.mx, ip: conversation.ip }),
  };
}

/** Numbers and ids in a reply differ each time: "queued as 4F2A1" is said once. */
const shapeOf = ({ outcome, reason, reply = "", mx = "" }: RecentReply) =>
  `${outcome} ${reason ?? ""} ${mx} ${reply.replace(/[\w.@<>-]*\d[\w.@<>-]*/g, "#")}`;
