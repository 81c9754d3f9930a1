import type { EgressState, Reason, WarmingRecord } from "@tyto/contracts";
import type { PlannedEgress } from "../egress/plan.ts";
import type { Egress } from "../egress.ts";
import type { Leave, Observation } from "../observation.ts";
import {
  begin,
  capOf,
  learn,
  type Outcomes,
  onDayOf,
  providerMaxOf,
  roomFor,
  sentenceOf,
  type Traffic,
  take,
  usedOf,
} from "./course.ts";
import { capOfDay, dateOf, lastDay } from "./schedule.ts";
import { labelOf, number } from "./words.ts";

export type WarmingPorts = {
  egresses: readonly Pick<PlannedEgress, "id" | "since">[];
  /**
   * Stores the record if it is still at `revision` (0: there is none). Tells the new revision, or `undefined` when another
   * process was first: `restore` brings what that one stored.
   */
  update(egress: string, record: WarmingRecord, revision: number): Promise<number | undefined>;
};

/** Messages taken at once out of a day's cap, so that not each one is a write: this part of the cap, within bounds. */
const blockPart = 0.01;
const blockMax = 50;
/** Taken and not used for so long: given back, another process may need it. */
const idleMsMax = 60_000;
/** Another process was first so often: the message waits. */
const updateTriesMax = 6;
/** What another process stored is told within this time. */
const newsMsMax = 1_000;
/** Who could not take a message because the store did not answer asks again after this time. */
const againMs = 5_000;
/** After transactional mail that waited for the cap may ask again, it has this time to itself. */
const aheadMs = 900_000;
/** The line of bulk messages that wait is at most so long; who comes then stands between the others. */
const lineMsMax = 86_400_000;
/** Providers that are counted apart from each other; there are about forty with a name. */
const providersMax = 100;

/** Replies that are about us and not about the recipient or the server: greylisting is asked of every newcomer. */
const pressure: ReadonlySet<Reason> = new Set<Reason>([
  "rate.limited",
  "reputation.listed",
  "policy.refused",
  "content.refused",
  "sender.refused",
  "sender.unauthenticated",
  "unclear",
]);

type Block = { date: string; count: number; usedAtMs: number };
type Track = {
  id: string;
  since: string | undefined;
  record: WarmingRecord | undefined;
  revision: number;
  /** Messages taken out of the cap that this process may still send, by traffic and provider. */
  blocks: Map<string, Block>;
  /** Outcomes that are not stored yet, by provider. */
  outcomes: Map<string, Outcomes>;
  /** Transactional mail waits for the cap: bulk mail gets nothing before this time. */
  transactionalUntilMs: number;
  /** The end of the line of bulk messages that were told to come back. */
  lineMs: number;
  /** Changes of this process, one after the other. */
  turn: Promise<unknown>;
  news: (() => void)[];
};

/**
 * Keeps addresses that are not known yet under the caps of their days. Counts are one record per address that all
 * processes change in turns, so that they hold in sum and survive any of them.
 */
export function createWarming({ egresses, update }: WarmingPorts) {
  const tracks = new Map<string, Track>();
  for (const { id, since } of egresses)
    if (since !== "warm")
      tracks.set(id, {
        id,
        since: since === "new" ? undefined : since.date,
        ...{ record: undefined, revision: 0, blocks: new Map(), outcomes: new Map() },
        transactionalUntilMs: 0,
        lineMs: 0,
        turn: Promise.resolve(),
        news: [],
      });

  /** The record as it is today; an address whose date was changed by the operator begins again. */
  function todayOf(track: Track, nowMs: number): WarmingRecord {
    const { record } = track;
    const isOfPlan = record !== undefined && (track.since === undefined || track.since === record.since);
    return isOfPlan ? onDayOf(record, nowMs) : begin(track.id, track.since ?? dateOf(nowMs), nowMs);
  }

  /** Applies `step` to the newest record and stores it. False when that could not be done. */
  async function change(
    track: Track,
    nowMs: number,
    step: (record: WarmingRecord) => WarmingRecord | undefined,
  ): Promise<boolean> {
    for (let attempt = 0; attempt < updateTriesMax; attempt++) {
      const next = step(todayOf(track, nowMs));
      if (next === undefined) return true;
      const { revision } = track;
      const stored = await update(track.id, next, revision);
      if (stored !== undefined) {
        if (stored > track.revision) [track.record, track.revision] = [next, stored];
        return true;
      }
      if (track.revision === revision) await newsOf(track);
    }
    return false;
  }

  /** One change of this process at a time; `update` settles conflicts with other processes only. */
  function inTurn<T>(track: Track, work: () => Promise<T>): Promise<T> {
    const mine = track.turn.then(work, work);
    track.turn = mine.catch(() => {});
    return mine;
  }

  /**
   * Messages that wait come back one after the other, as quickly as the day's share is released, and not all of a long
   * backlog each time that there is room for a few.
   */
  function inLine(track: Track, earliestMs: number, nowMs: number): number {
    const slotMs = lineMsMax / capOfDay(track.record?.day ?? 1);
    track.lineMs = Math.max(track.lineMs + slotMs, earliestMs);
    if (track.lineMs > nowMs + lineMsMax) track.lineMs = earliestMs;
    return Math.round(track.lineMs);
  }

  function newsOf(track: Track): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, newsMsMax);
      track.news.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  function blockOf(track: Track, traffic: Traffic, provider: string, nowMs: number): Block {
    const key = `${traffic} ${provider}`;
    const date = dateOf(nowMs);
    let block = track.blocks.get(key);
    // What was not sent on its day is of no use on the next.
    if (block === undefined || block.date !== date) {
      block = { date, count: 0, usedAtMs: nowMs };
      track.blocks.set(key, block);
    }
    return block;
  }

  async function fill(track: Track, traffic: Traffic, provider: string, nowMs: number): Promise<Leave> {
    const block = blockOf(track, traffic, provider, nowMs);
    if (block.count > 0) return { kind: "go" };
    let taken = 0;
    let wait: Leave | undefined;
    const isStored = await change(track, nowMs, (record) => {
      const room = roomFor(record, provider, traffic, nowMs);
      taken = 0;
      wait = room.kind === "wait" ? room : undefined;
      if (room.kind === "wait" || record.phase === "warm")
        return record === track.record ? undefined : record;
      taken = Math.min(room.count, blockSize(record));
      return take(record, provider, traffic, taken);
    });
    if (!isStored)
      return { kind: "wait", untilMs: nowMs + againMs, why: "other processes count at the moment" };
    block.count += taken;
    return wait ?? { kind: "go" };
  }

  /** A message that had leave was not sent after all. */
  function giveBack(egress: Pick<Egress, "id">, site: Site, traffic: Traffic, nowMs: number): void {
    const track = tracks.get(egress.id);
    if (track === undefined || isWarm(track)) return;
    blockOf(track, traffic, nameOf(track, site), nowMs).count++;
  }

  return {
    /**
     * Takes one message out of what the address may send today, or tells from when on it is worth asking again. Throws what
     * `update` throws.
     */
    async leave(egress: Pick<Egress, "id">, site: Site, traffic: Traffic, nowMs: number): Promise<Leave> {
      const track = tracks.get(egress.id);
      if (track === undefined || isWarm(track)) return go;
      if (traffic === "bulk" && nowMs < track.transactionalUntilMs)
        return {
          kind: "wait",
          untilMs: track.transactionalUntilMs,
          why: "transactional mail waits and goes first",
        };
      const provider = nameOf(track, site);
      const block = blockOf(track, traffic, provider, nowMs);
      block.usedAtMs = nowMs;
      if (block.count === 0) {
        // Nothing is asked of the store while the record says that there is no room.
        if (track.record?.date === block.date) {
          const room = roomFor(track.record, provider, traffic, nowMs);
          if (room.kind === "wait") {
            const bulk = traffic === "transactional" ? blockOf(track, "bulk", provider, nowMs) : block;
            if (bulk.count > 0) {
              bulk.count--;
              return go;
            }
            if (traffic === "transactional" && room.isFull === true)
              track.transactionalUntilMs = room.untilMs + aheadMs;
            const untilMs = traffic === "bulk" ? inLine(track, room.untilMs, nowMs) : room.untilMs;
            return { kind: "wait", untilMs, why: room.why };
          }
        }
        const answer = await inTurn(track, () => fill(track, traffic, provider, nowMs));
        if (answer.kind === "wait" || isWarm(track)) return answer;
      }
      // Between the filling and now others may have used the block up.
      if (block.count === 0) return { kind: "wait", untilMs: nowMs + againMs, why: "others were quicker" };
      block.count--;
      return go;
    },

    giveBack,

    /** Learns from the outcome of an attempt. */
    see({ atMs, entry, egress, site, outcome, reason, hard, reply, madeBy }: Observation): void {
      const track = tracks.get(egress.id);
      if (track === undefined || isWarm(track) || madeBy === "rule") return;
      const kind = outcome === "delivered" ? outcome : kindOf(reason, hard);
      // A greylist, or a server in trouble, has not taken the message; when it does, it takes its place in that day.
      if (outcome === "deferred" && kind === undefined)
        giveBack(egress, site, entry.traffic ?? "transactional", atMs);
      if (kind === undefined || reply === undefined) return;
      const provider = nameOf(track, site);
      const known = track.outcomes.get(provider) ?? { delivered: 0, deferred: 0, bounced: 0 };
      track.outcomes.set(provider, { ...known, [kind]: known[kind] + 1 });
    },

    /**
     * Stores what was seen since the last time, gives back what is not used, and begins the new day. To be called every few
     * seconds, and with `isLast` before the end.
     */
    async save(nowMs: number, isLast = false): Promise<void> {
      for (const track of tracks.values()) {
        const isIdle = ({ count, usedAtMs }: Block) => count > 0 && (isLast || nowMs - usedAtMs > idleMsMax);
        const isDue =
          track.outcomes.size > 0 ||
          [...track.blocks.values()].some(isIdle) ||
          (track.record !== undefined && track.record.date < dateOf(nowMs));
        if (!isDue) continue;
        await inTurn(track, async () => {
          const outcomes = track.outcomes;
          track.outcomes = new Map();
          const unused = [...track.blocks].flatMap(([key, block]) => {
            if (!isIdle(block)) return [];
            const { count, date } = block;
            track.blocks.delete(key);
            const [traffic = "", provider = ""] = key.split(" ");
            return date === dateOf(nowMs) ? [{ traffic: traffic as Traffic, provider, count }] : [];
          });
          const isStored = await change(track, nowMs, (record) =>
            unused.reduce(
              (sum, { traffic, provider, count }) => take(sum, provider, traffic, -count),
              learn(record, outcomes, nowMs),
            ),
          );
          if (!isStored) for (const [provider, counts] of outcomes) track.outcomes.set(provider, counts);
        });
      }
    },

    /** What the store holds of an address, from its watch. */
    restore(egress: string, record: WarmingRecord | undefined, revision: number): void {
      const track = tracks.get(egress);
      if (track === undefined || revision <= track.revision) return;
      track.record = record;
      track.revision = revision;
      for (const tell of track.news.splice(0)) tell();
    },

    /** Where an address stands, for people and programs; `undefined` for one that is not warmed here. */
    status(egress: string, nowMs: number): EgressState["warming"] {
      const track = tracks.get(egress);
      if (track === undefined) return undefined;
      const record = todayOf(track, nowMs);
      const place = { day: record.day, days: lastDay };
      return {
        ...place,
        say: sentenceOf(record),
        used: usedOf(record),
        ...(record.phase === "warm" ? {} : { cap: capOf(record) }),
        isPaused: record.phase === "halted",
        providers: Object.entries(record.providers).map(([provider, warmth]) => ({
          provider,
          ...place,
          used: warmth.taken,
          ...(record.phase === "warm" || warmth.pace >= 1 ? {} : { cap: providerMaxOf(record, warmth) }),
          say:
            warmth.pace < 1
              ? `${number(warmth.taken)} of ${number(providerMaxOf(record, warmth))} used, ${warmth.why ?? "slowed"}`
              : `${number(warmth.taken)} to ${labelOf(provider)}`,
        })),
      };
    },
  };
}

export type Warming = ReturnType<typeof createWarming>;

type Site = Pick<Observation["site"], "provider">;
const go: Leave = { kind: "go" };
const isWarm = ({ record }: Track) => record?.phase === "warm";

const nameOf = ({ record }: Track, { provider = "other" }: Site) =>
  record !== undefined &&
  record.providers[provider] === undefined &&
  Object.keys(record.providers).length >= providersMax
    ? "other"
    : provider;

/** A bounce is about the list when it is about the recipient; a refusal for what we are counts as a deferral does. */
function kindOf(reason: Reason | undefined, hard: boolean | undefined): keyof Outcomes | undefined {
  if (hard === true) return "bounced";
  return reason !== undefined && pressure.has(reason) ? "deferred" : undefined;
}

const blockSize = ({ day }: WarmingRecord) =>
  Math.min(blockMax, Math.max(1, Math.floor(capOfDay(day) * blockPart)));
