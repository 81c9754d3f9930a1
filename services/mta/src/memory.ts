import type { Bucket } from "@tyto/bus";
import type { BucketName, BucketValue } from "@tyto/contracts";
import type { Log } from "@tyto/service";

/** What learns, and can tell what it learned: records by key, without a record where there is nothing to tell any more. */
export type Learner<V> = {
  restore(record: V): void;
  /** What another process stored since, or this one itself. */
  hear?(record: V): void;
  /** Calls back when something was learned that others should know at once. */
  onUrgent?(tell: () => void): void;
  /** What changed since the last call, at most `max`. */
  changes(max: number): { key: string; record: V | undefined }[];
};

const writeEveryMs = 5_000;
const recordsPerWriteMax = 200;

/**
 * Hands to the learner what an earlier process learned, and from then on stores what changed: a restart into a suspended
 * site, or into a list that is half counted, must not begin from nothing. Throws Failure `upstream.down` when the bucket
 * cannot be read.
 */
export async function remember<B extends BucketName>(
  bucket: Bucket<B>,
  learner: Learner<BucketValue<B>>,
  log: Pick<Log, "warn">,
): Promise<{ stop(): Promise<void> }> {
  let isRead = false;
  const watch = await bucket.watch((_, record) => {
    if (record === undefined) return;
    if (isRead) learner.hear?.(record);
    else learner.restore(record);
  });
  isRead = true;

  const write = async () => {
    for (const { key, record } of learner.changes(recordsPerWriteMax)) {
      try {
        await (record === undefined ? bucket.delete(key) : bucket.put(key, record));
      } catch (error) {
        // It is written when it changes again; the others of this turn would fail as well.
        log.warn("mta.learned-not-stored", { key, error });
        return;
      }
    }
  };
  let writing = Promise.resolve();
  const next = () => {
    writing = writing.then(write);
  };
  const timer = setInterval(next, writeEveryMs);
  learner.onUrgent?.(next);
  return {
    async stop() {
      watch.stop();
      clearInterval(timer);
      await writing;
      await write();
    },
  };
}
