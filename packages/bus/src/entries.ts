/**
 * Queue entries share messages: those of one traffic, place and time that come within a moment make one message of
 * QUEUE. So a backlog of a million costs the server ten thousand messages, and what waits for one site comes back together.
 */
import {
  Failure,
  laterSubject,
  packHeaders,
  packSharesMax,
  placeOf,
  type QueueEntry,
  sendSubject,
  trafficOf,
} from "@tyto/contracts";
import { nuid } from "nats";
import { writeEntry } from "./contract.ts";
import { joined, packBytesMax, packEventsMax } from "./packs.ts";
import type { Message, Store } from "./store/store.ts";

const stream = "QUEUE";
/** How long the first entry of a pack waits for others. */
const gatherMs = 20;
/** Entries that wait to be stored, over all packs. */
const waitingEntriesMax = 100_000;

/** Waits up to `waitMs` are rounded up to `gridMs`, so that entries have times in common. */
const grids = [
  { waitMs: 10_000, gridMs: 250 },
  { waitMs: 120_000, gridMs: 2_000 },
  { waitMs: 900_000, gridMs: 10_000 },
  { waitMs: Number.POSITIVE_INFINITY, gridMs: 60_000 },
];

/** The time at which an entry is really put back: never earlier than asked. 0 means now. */
export function slotOf(atMs: number, nowMs: number): number {
  if (atMs <= nowMs) return 0;
  const { gridMs } = grids.find(({ waitMs }) => atMs - nowMs <= waitMs) ?? { gridMs: 60_000 };
  return Math.ceil(atMs / gridMs) * gridMs;
}

type Waiting = { entry: QueueEntry; data: Uint8Array; resolve(): void; reject(error: unknown): void };
type Pack = { slotMs: number; waiting: Waiting[]; bytes: number; timer: Timer };

/** Takes entries one by one; each promise resolves when the message that holds the entry is stored. */
export function createEntryPacker(
  store: Pick<Store, "together">,
  now: () => number = Date.now,
): (entry: QueueEntry, atMs: number) => Promise<void> {
  const packs = new Map<string, Pack>();
  let waitingEntries = 0;

  const close = async (key: string, pack: Pack) => {
    clearTimeout(pack.timer);
    if (packs.get(key) === pack) packs.delete(key);
    try {
      await store.together(stream, [messageOf(pack)]);
      for (const { resolve } of pack.waiting) resolve();
    } catch (error) {
      for (const { reject } of pack.waiting) reject(error);
    } finally {
      waitingEntries -= pack.waiting.length;
    }
  };

  return (entry, atMs) =>
    new Promise((resolve, reject) => {
      if (waitingEntries >= waitingEntriesMax)
        return reject(
          new Failure("upstream.down", `more than ${waitingEntriesMax} queue entries wait for NATS`),
        );
      const data = writeEntry(entry);
      const slotMs = slotOf(atMs, now());
      const key = `${trafficOf(entry)} ${placeOf(entry)} ${slotMs}`;
      let pack = packs.get(key);
      if (pack !== undefined && pack.bytes + data.length + 1 > packBytesMax) {
        void close(key, pack);
        pack = undefined;
      }
      if (pack === undefined) {
        const fresh: Pack = {
          slotMs,
          waiting: [],
          bytes: 0,
          timer: setTimeout(() => void close(key, fresh), gatherMs),
        };
        packs.set(key, fresh);
        pack = fresh;
      }
      waitingEntries++;
      pack.waiting.push({ entry, data, resolve, reject });
      pack.bytes += data.length + 1;
      if (pack.waiting.length >= packEventsMax) void close(key, pack);
    });
}

function messageOf({ slotMs, waiting }: Pack): Message {
  const entries = waiting.map(({ entry }) => entry);
  const [first] = entries;
  if (first === undefined) throw new Failure("internal", "a pack of no entries");
  const id = nuid.next();
  const subject = sendSubject(trafficOf(first), placeOf(first));
  return {
    subject: slotMs === 0 ? subject : laterSubject(id),
    data: joined(waiting),
    headers: {
      "Nats-Msg-Id": id,
      [packHeaders.entries]: String(entries.length),
      [packHeaders.place]: placeOf(first),
      [packHeaders.oldest]: String(Math.min(...entries.map(({ acceptedAt }) => acceptedAt))),
      [packHeaders.shares]: sharesOf(entries),
      // RFC 3339 in the form that the server takes; milliseconds count.
      ...(slotMs === 0
        ? {}
        : { "Nats-Schedule": `@at ${new Date(slotMs).toISOString()}`, "Nats-Schedule-Target": subject }),
    },
  };
}

function sharesOf(entries: readonly QueueEntry[]): string {
  const counts = new Map<string, number>();
  for (const { organizationId, campaign = "" } of entries) {
    const owner = `${organizationId}/${campaign}`;
    const key = counts.has(owner) || counts.size < packSharesMax ? owner : "*";
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return [...counts].map(([owner, count]) => `${owner}=${count}`).join(",");
}
