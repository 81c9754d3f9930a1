/**
 * Collects garbage that a burst leaves. JavaScriptCore waits with a full collection until the heap has grown by a share of the
 * machine's memory, not of what a service may take: 300 MB of request bodies that nobody needs were kept until much later.
 */

/** Below this a process is left alone. */
const quietBytes = 160 * 1_048_576;
/** What may come on top of what the last collection left. */
const growthBytes = 48 * 1_048_576;
const lookEveryMs = 100;
/** A collection takes some 30 ms; what is alive and large must not be looked through all the time. */
const collectEveryMs = 500;

export type Memory = {
  /** What the process takes of the machine's memory. */
  takenBytes(): number;
  /** Collects garbage, all of it, and gives back what is free. */
  collect(): void;
  /** Monotonic. */
  now(): number;
};

/** Looks once, at each call, whether it is time to collect; true when it did. */
export function createCollecting({ takenBytes, collect, now }: Memory): () => boolean {
  /** The least since the last collection: freed memory goes back a moment later. */
  let leftBytes = 0;
  let collectedAtMs = Number.NEGATIVE_INFINITY;
  return () => {
    const bytes = takenBytes();
    leftBytes = Math.min(leftBytes, bytes);
    if (bytes < Math.max(quietBytes, leftBytes + growthBytes)) return false;
    if (now() - collectedAtMs < collectEveryMs) return false;
    collect();
    leftBytes = bytes;
    collectedAtMs = now();
    return true;
  };
}

/** Watches this process's memory for as long as it runs. */
export function collectGarbage(): void {
  const look = createCollecting({
    takenBytes: process.memoryUsage.rss,
    collect: () => Bun.gc(true),
    now: () => performance.now(),
  });
  setInterval(look, lookEveryMs).unref();
}
