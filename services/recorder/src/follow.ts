/**
 * Keeps the buckets SUPPRESSIONS, DOMAINS, API_KEYS and INBOXES as Convex has them: follows Convex's change log live, and fills
 * the buckets anew when its place in the log is unknown, too old, or belongs to another store. The place is written
 * after the buckets, so that a crash repeats changes and skips none.
 */
import type { Bucket, Bus } from "@tyto/bus";
import { type BucketName, type BucketValue, buckets } from "@tyto/contracts";
import type { Log } from "@tyto/service";
import type { Changes, Feed, SyncedBucket } from "./feed.ts";
import type { Metrics } from "./metrics.ts";

export type Ports = {
  openFeed(): Feed;
  bucket: Bus["bucket"];
  metrics: Metrics;
  log: Log;
  /** Waits, or ends early when `signal` fires. */
  wait(ms: number, signal: AbortSignal): Promise<void>;
};

export type Follower = {
  /** Why the buckets may be behind Convex. */
  problem(): string | undefined;
  stop(): Promise<void>;
};

/** Our place in Convex's change log. */
type Place = BucketValue<"SYNC">;

const synced = ["SUPPRESSIONS", "DOMAINS", "API_KEYS", "INBOXES"] as const satisfies readonly SyncedBucket[];
const writesAtOnceMax = 64;
const waitMsMin = 500;
const waitMsMax = 30_000;

/** Follows until stopped; every failure is logged and tried again from the last place. */
export function follow(ports: Ports): Follower {
  const ending = new AbortController();
  let problem: string | undefined = "not caught up yet";
  let feed: Feed | undefined;

  const run = async () => {
    for (let failures = 0; !ending.signal.aborted; ) {
      feed = ports.openFeed();
      try {
        await followFeed(ports, feed, ending.signal, () => {
          failures = 0;
          problem = undefined;
        });
      } catch (error) {
        if (ending.signal.aborted) return;
        problem = error instanceof Error ? error.message : String(error);
        ports.log.warn("sync.failed", { error, failures });
        await ports.wait(Math.min(waitMsMax, waitMsMin * 2 ** Math.min(failures++, 10)), ending.signal);
      } finally {
        await feed.close();
      }
    }
  };
  const running = run();

  return {
    problem: () => problem ?? (feed?.isConnected() === false ? "disconnected from Convex" : undefined),
    async stop() {
      ending.abort(new Error("stopped"));
      await running;
    },
  };
}

/** Applies one answer of the feed after the other; ends by throwing. */
async function followFeed(
  ports: Ports,
  feed: Feed,
  signal: AbortSignal,
  onCaughtUp: () => void,
): Promise<never> {
  const places = ports.bucket("SYNC");
  let place: Place | undefined = await places.get("cursor");
  for (;;) {
    const at = place;
    const changes = await feed.next(
      at?.sequence ?? 0,
      (news) => {
        if (isContinued(at, news) && news.changes.length === 0) onCaughtUp();
        return !isContinued(at, news) || news.changes.length > 0;
      },
      signal,
    );
    place = isContinued(at, changes)
      ? await applyChanges(ports, changes)
      : await fillAnew(ports, feed, signal);
    await places.put("cursor", place);
  }
}

/**
 * False when changes are missing between our place and what the log still holds, or when it is another log. A log has
 * no name before its first change; a place in an empty one continues in any that still has its first change.
 */
export function isContinued(place: Place | undefined, { head, oldest, log }: Changes): boolean {
  if (place === undefined) return false;
  const isSameLog = place.log === log || (place.log === "" && place.sequence === 0);
  return isSameLog && place.sequence <= head && place.sequence + 1 >= oldest;
}

async function applyChanges(ports: Ports, { changes, log }: Changes): Promise<Place> {
  // Of several changes of one key only the last matters; different keys do not depend on each other.
  const latest = new Map(changes.map((change) => [`${change.bucket} ${change.key}`, change]));
  await atOnce([...latest.values()], ({ bucket, key, value }) => write(ports, bucket, key, value));
  for (const bucket of synced) {
    const count = changes.filter((change) => change.bucket === bucket).length;
    if (count > 0) ports.metrics.synced(bucket, count);
  }
  return { sequence: changes.at(-1)?.sequence ?? 0, log };
}

/** Writes every row of Convex and removes keys that it does not have; continues where the first part's head was. */
async function fillAnew(ports: Ports, feed: Feed, signal: AbortSignal): Promise<Place> {
  let place: Place | undefined;
  for (const bucket of synced) {
    const gone = await keysOf(ports.bucket(bucket));
    let cursor: string | null = null;
    let rows = 0;
    do {
      const part = await feed.snapshot(bucket, cursor, signal);
      place ??= { sequence: part.head, log: part.log };
      await atOnce(part.rows, ({ key, value }) => write(ports, bucket, key, value));
      for (const { key } of part.rows) gone.delete(key);
      rows += part.rows.length;
      cursor = part.cursor;
    } while (cursor !== null);
    await atOnce([...gone], (key) => write(ports, bucket, key, null));
    ports.log.info("sync.filled", { bucket, rows, removed: gone.size });
  }
  ports.metrics.snapshot();
  return place ?? { sequence: 0, log: "" };
}

async function keysOf<B extends BucketName>(bucket: Bucket<B>): Promise<Set<string>> {
  const keys = new Set<string>();
  const watch = await bucket.watch((key, value) => {
    if (value !== undefined) keys.add(key);
  });
  watch.stop();
  return keys;
}

/** One value as Convex has it. A value that breaks the bucket's contract is reported and left out: it must not hold up the rest. */
async function write(ports: Ports, name: SyncedBucket, key: string, value: string | null): Promise<void> {
  const bucket: Pick<Bucket<SyncedBucket>, "delete"> & { put(key: string, value: unknown): Promise<void> } =
    ports.bucket(name);
  if (value === null) return await bucket.delete(key);
  const parsed = buckets[name].value.safeParse(JSON.parse(value));
  if (parsed.success) return await bucket.put(key, parsed.data);
  const { path, message } = parsed.error.issues[0] ?? { path: [], message: "is not valid" };
  ports.log.error("sync.value-refused", { bucket: name, key, problem: `${path.join(".")} ${message}` });
}

async function atOnce<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  for (let start = 0; start < items.length; start += writesAtOnceMax)
    await Promise.all(items.slice(start, start + writesAtOnceMax).map(work));
}
