/**
 * Follows a bucket by reading its stream in order with direct gets. A plain subscription only tells when to look, so a
 * message lost on the way costs a moment and never a change; and the user needs no right to make consumers, which
 * would let it send messages to any subject (a consumer's `deliver_subject` is not bound by its maker's rights).
 */
import type { BucketName } from "@tyto/contracts";
import { bucketPrefix, bucketStream, isDeleted, type OnChange } from "./bucket.ts";
import { readValue } from "./contract.ts";
import type { Direct, Found } from "./direct.ts";
import type { Link } from "./link.ts";
import type { BusLog } from "./log.ts";
import { Interrupted } from "./requests.ts";

const pageMessagesMax = 512;
/** Looks without being told: what the subscription lost is found within this time. */
const lookMs = 2_000;
/** The subscription hears a change before it is stored; looks follow at these waits until it shows. */
const hintWaitsMs = [0, 2, 10, 50, 250];

export async function watchBucket<B extends BucketName>(
  { link, direct, log }: { link: Link; direct: Direct; log: BusLog },
  bucket: B,
  onChange: OnChange<B>,
): Promise<{ stop(): void }> {
  const stream = bucketStream(bucket);
  const prefix = bucketPrefix(bucket);
  const filter = `${prefix}>`;
  let seen = 0;
  let isStopped = false;

  const hand = (found: Found) => {
    seen = found.sequence;
    const key = found.subject.slice(prefix.length);
    if (isDeleted(found)) return onChange(key, undefined);
    const value = readValue(bucket, found);
    if (value.ok) onChange(key, value.value);
    else log.error("bus.value-breaks-contract", { bucket, key, problem: value.problem });
  };

  /** Everything after `seen`. Tells whether there was something. */
  const readOn = async (): Promise<boolean> => {
    const before = seen;
    while (!isStopped) {
      const page = await direct.page(stream, seen + 1, filter, pageMessagesMax);
      if (isStopped) break;
      for (const found of page) hand(found);
      if (page.length === 0) break;
    }
    return seen > before;
  };

  /** A stream that ends before what was seen was made anew: read it from its start. */
  const checkRestart = async () => {
    const last = await direct.last(stream, filter);
    if (last === undefined || last.sequence >= seen) return;
    log.warn("bus.bucket-made-anew", { bucket, seen, last: last.sequence });
    seen = 0;
  };

  let looking: Promise<void> = Promise.resolve();
  let isHinted = false;
  const look = (waitsMs: readonly number[]) => {
    looking = looking.then(async () => {
      try {
        for (const waitMs of waitsMs) {
          if (waitMs > 0) await Bun.sleep(waitMs);
          if (isStopped) return;
          isHinted = false;
          if (await readOn()) return;
        }
      } catch (error) {
        if (!(error instanceof Interrupted) && !isStopped) log.warn("bus.watch-waits", { bucket, error });
      }
    });
    return looking;
  };

  const subscription = link.nats.subscribe(filter, {
    callback(error) {
      if (error !== null) return log.error("bus.watch-refused", { bucket, problem: error.message });
      if (isHinted) return;
      isHinted = true;
      void look(hintWaitsMs);
    },
  });
  for (;;) {
    try {
      await readOn();
      break;
    } catch (error) {
      if (!(error instanceof Interrupted)) {
        subscription.unsubscribe();
        throw error;
      }
      await link.whenConnected(Date.now() + lookMs);
    }
  }
  const timer = setInterval(() => link.isConnected() && void look([0]), lookMs);
  timer.unref();
  const forget = link.onReconnect(() => {
    looking = looking.then(() =>
      checkRestart().catch((error: unknown) => log.warn("bus.watch-waits", { bucket, error })),
    );
    void look([0]);
  });

  return {
    stop() {
      isStopped = true;
      clearInterval(timer);
      forget();
      subscription.unsubscribe();
    },
  };
}
