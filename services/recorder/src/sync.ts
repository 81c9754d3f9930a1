/**
 * What Convex owns and services read from NATS: its change log, followed live, into the buckets SUPPRESSIONS, DOMAINS and
 * API_KEYS. The place in the log is kept in SYNC; without one, or with one that the log no longer knows, all rows are
 * taken anew and keys that are gone are removed.
 */
import type { Bus } from "@tyto/bus";
import { buckets } from "@tyto/contracts";
import { api } from "@tyto/convex/api";
import type { Log } from "@tyto/service";
import type { ConvexClient } from "convex/browser";
import type { FunctionReturnType } from "convex/server";

type Changes = FunctionReturnType<typeof api.sync.changes>;
type Synced = Changes["changes"][number]["bucket"];
type Place = { sequence: number; log: string };

const synced = ["SUPPRESSIONS", "DOMAINS", "API_KEYS"] as const satisfies readonly Synced[];
const cursorKey = "cursor";
const retryMsMin = 250;
const retryMsMax = 10_000;

export type Following = {
  /** Changes that Convex has and the buckets do not; undefined before the first answer. */
  behind(): number | undefined;
  stop(): Promise<void>;
};

export type Ports = {
  bucket: Bus["bucket"];
  client: Pick<ConvexClient, "onUpdate" | "query">;
  wait(ms: number): Promise<void>;
  log: Log;
};

export async function follow(ports: Ports): Promise<Following> {
  const cursor = ports.bucket("SYNC");
  let place: Place | undefined = await cursor.get(cursorKey);
  let behind: number | undefined;
  let isStopped = false;
  let unsubscribe = () => {};
  let work: Promise<void> = Promise.resolve();

  /** Takes one answer of the live query and, when it moved our place, asks again from there. */
  async function take(told: Changes): Promise<void> {
    const from = place;
    const isKnown =
      from !== undefined &&
      from.log === told.log &&
      from.sequence >= told.oldest - 1 &&
      from.sequence <= told.head;
    if (!isKnown) place = await snapshot(ports);
    else {
      for (const { bucket, key, value } of told.changes) await put(ports, bucket, key, value);
      place = { sequence: told.changes.at(-1)?.sequence ?? from.sequence, log: told.log };
    }
    behind = Math.max(0, told.head - (place?.sequence ?? 0));
    if (place?.sequence === from?.sequence && place?.log === from?.log) return;
    if (place !== undefined) await cursor.put(cursorKey, place);
    subscribe();
  }

  function subscribe(): void {
    unsubscribe();
    if (isStopped) return;
    const after = place?.sequence ?? 0;
    const subscription = ports.client.onUpdate(
      api.sync.changes,
      { after },
      (told) => {
        work = work.then(() => insist(told, after));
      },
      (error) => ports.log.error("sync.refused", { error }),
    );
    unsubscribe = () => subscription();
  }

  /** NATS or Convex may be away for a while; the same answer is taken until it is applied. */
  async function insist(told: Changes, after: number): Promise<void> {
    // An answer to a question that was asked before our place moved says nothing new.
    if (after !== (place?.sequence ?? 0)) return;
    for (let waitMs = retryMsMin; !isStopped; waitMs = Math.min(waitMs * 2, retryMsMax)) {
      try {
        return await take(told);
      } catch (error) {
        ports.log.warn("sync.waits", { error, waitMs });
        await ports.wait(waitMs);
      }
    }
  }

  subscribe();
  return {
    behind: () => behind,
    async stop() {
      isStopped = true;
      unsubscribe();
      await work;
    },
  };
}

async function put(ports: Ports, bucket: Synced, key: string, value: string | null): Promise<void> {
  if (value === null) return ports.bucket(bucket).delete(key);
  const parsed = buckets[bucket].value.safeParse(JSON.parse(value));
  if (!parsed.success) {
    ports.log.error("sync.malformed", { bucket, key, problem: parsed.error.message });
    return;
  }
  // The value was parsed by the schema of this very bucket.
  await (ports.bucket(bucket).put as (key: string, value: unknown) => Promise<void>)(key, parsed.data);
}

/** Takes all rows of all buckets; resolves with the place from where changes follow. */
async function snapshot(ports: Ports): Promise<Place> {
  let start: Place | undefined;
  for (const bucket of synced) {
    const gone = await keysOf(ports, bucket);
    for (let cursor: string | null = null, isFirst = true; isFirst || cursor !== null; isFirst = false) {
      const part: FunctionReturnType<typeof api.sync.snapshot> = await ports.client.query(api.sync.snapshot, {
        bucket,
        cursor,
      });
      start ??= { sequence: part.head, log: part.log };
      for (const { key, value } of part.rows) {
        gone.delete(key);
        await put(ports, bucket, key, value);
      }
      cursor = part.cursor;
    }
    for (const key of gone) await ports.bucket(bucket).delete(key);
  }
  ports.log.info("sync.snapshot", { ...start });
  return start ?? { sequence: 0, log: "" };
}

async function keysOf(ports: Ports, bucket: Synced): Promise<Set<string>> {
  const keys = new Set<string>();
  const watch = await ports.bucket(bucket).watch((key, value) => {
    if (value !== undefined) keys.add(key);
  });
  watch.stop();
  return keys;
}
