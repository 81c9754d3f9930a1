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
const waitsMs = [0, 1, 5, 20, 80, 300];
const beginAgainMs = 250;

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
    if (isDeleted(found)) return onChange(key, undefined, found.sequence);
    const value = readValue(bucket, found);
    if (value.ok) onChange(key, value.value, found.sequence);
    else log.error("bus.value-breaks-contract", { bucket, key, problem: value.problem });
  };

  /** Hands over everything after `seen`; tells how many there were. */
  const readOn = async (): Promise<number> => {
    let count = 0;
    while (!isStopped) {
      const page = await direct.page(stream, seen + 1, filter, pageMessagesMax);
      if (isStopped || page.length === 0) break;
      for (const found of page) hand(found);
      count += page.length;
    }
    return count;
  };

  /** A stream that ends before what was seen was made anew: read it from its start. */
  const checkRestart = async () => {
    const last = await direct.last(stream, filter);
    if (last === undefined || last.sequence >= seen) return;
    log.warn("bus.bucket-made-anew", { bucket, seen, last: last.sequence });
    seen = 0;
  };

  /** Changes that were heard of and not read yet. */
  let owed = 0;
  let isReconnected = false;
  let isLooking = false;
  let isAsked = false;
  let wake = () => {};
  const pause = (ms: number) =>
    new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });

  const look = async () => {
    isAsked = true;
    wake();
    if (isLooking) return;
    isLooking = true;
    try {
      for (let step = 0; step < waitsMs.length && !isStopped; step++) {
        if (isAsked) step = 0;
        isAsked = false;
        await pause(waitsMs[step] ?? 0);
        if (isReconnected) {
          isReconnected = false;
          await checkRestart();
        }
        owed = Math.max(0, owed - (await readOn()));
        if (owed === 0 && !isAsked) break;
      }
      // Heard of and not stored: the stream refused it.
      owed = 0;
    } catch (error) {
      // Cut off by a disconnect: the reconnect or the timer looks again.
      if (!(error instanceof Interrupted) && !isStopped) log.warn("bus.watch-waits", { bucket, error });
    } finally {
      isLooking = false;
    }
  };

  const subscription = link.nats.subscribe(filter, {
    callback(error) {
      if (error !== null) return log.error("bus.watch-refused", { bucket, problem: error.message });
      owed++;
      void look();
    },
  });
  const timer = setInterval(() => link.isConnected() && void look(), lookMs);
  timer.unref();
  const forget = link.onReconnect(() => {
    isReconnected = true;
    void look();
  });
  const stop = () => {
    isStopped = true;
    clearInterval(timer);
    forget();
    wake();
    if (!link.nats.isClosed()) subscription.unsubscribe();
  };

  isLooking = true;
  for (let tries = 1; ; tries++) {
    try {
      await readOn();
      break;
    } catch (error) {
      if (!(error instanceof Interrupted)) {
        stop();
        throw error;
      }
      // No answer: a disconnect, or nobody has made the bucket yet.
      if (tries === 1) log.warn("bus.watch-waits", { bucket, error });
      await pause(beginAgainMs);
    }
  }
  isLooking = false;
  void look();
  return { stop };
}
