import type { Bucket } from "@tyto/bus";
import { bucketKey } from "@tyto/contracts";
import type { Log } from "@tyto/service";
import type { Shaping } from "./shaping.ts";

const writeEveryMs = 5_000;
const rowsPerWriteMax = 200;

/**
 * Hands to `shaping` what an earlier process learned, and from then on stores what changed: a restart into a suspended
 * site or a tight limit must not begin with a burst. Throws Failure `upstream.down` when the bucket cannot be read.
 */
export async function rememberSites(
  shaping: Pick<Shaping, "restore" | "changes">,
  bucket: Bucket<"SITES">,
  log: Pick<Log, "warn">,
): Promise<{ stop(): Promise<void> }> {
  let isRead = false;
  const watch = await bucket.watch((_, record) => {
    // Afterwards it would be what this process, or another one with limits of its own, writes.
    if (!isRead && record !== undefined) shaping.restore(record);
  });
  isRead = true;
  watch.stop();

  const write = async () => {
    for (const { egress, site, record } of shaping.changes(rowsPerWriteMax)) {
      const key = bucketKey(egress, site);
      try {
        await (record === undefined ? bucket.delete(key) : bucket.put(key, record));
      } catch (error) {
        // Written again when it changes again; without it a restart learns anew.
        log.warn("mta.site-not-stored", { site, error });
        return;
      }
    }
  };
  let writing = Promise.resolve();
  const timer = setInterval(() => {
    writing = writing.then(write);
  }, writeEveryMs);
  return {
    async stop() {
      clearInterval(timer);
      await writing;
      await write();
    },
  };
}
