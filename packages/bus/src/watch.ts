/**
 * Follows a bucket by reading its stream in order with direct gets. A plain subscription only tells when to look, so a
 * message lost on the way costs a moment and never a change; and the user needs no right to make consumers, which
 * would let it send messages to any subject (a consumer's `deliver_subject` is not bound by its maker's rights).
 */
import type { BucketName } from "@tyto/contracts";
import { bucketPrefix, bucketStream, isDeleted, type OnChange } from "./bucket.ts";
import { readValue } from "./contract.ts";
import type { Direct, Found } from "./direct/direct.ts";
import type { Link } from "./link.ts";
import type { BusLog } from "./log.ts";
import { Interrupted } from "./requests.ts";

const pageMessagesMax = 512;
/** Looks without being told: what the subscription lost is found within this time. */
export const lookMsDefault = 2_000;
/** The subscription hears a change before it is stored; looks follow at these waits until it shows. */
const waitsMs = [0, 1, 5, 20, 80, 300];
const beginAgainMs = 250;

type Parts = { link: Link; direct: Direct; log: BusLog; lookMs: number };

/** Resolves when the present values were handed over. */
export async function watchBucket<B extends BucketName>(
  parts: Parts,
  bucket: B,
  onChange: OnChange<B>,
): Promise<{ stop(): void }> {
  const watch = new Watch(parts, bucket, onChange);
  await watch.begin();
  return { stop: () => watch.stop() };
}

class Watch<B extends BucketName> {
  readonly #parts: Parts;
  readonly #bucket: B;
  readonly #onChange: OnChange<B>;
  readonly #stream: string;
  readonly #prefix: string;
  readonly #forgetListeners: readonly (() => void)[];
  /** The position up to which everything was handed over. */
  #seen = 0;
  /** Changes that were heard of and not read yet. */
  #owed = 0;
  #isReconnected = false;
  #isLooking = true;
  #isAsked = false;
  #isStopped = false;
  #wake = () => {};

  constructor(parts: Parts, bucket: B, onChange: OnChange<B>) {
    this.#parts = parts;
    this.#bucket = bucket;
    this.#onChange = onChange;
    this.#stream = bucketStream(bucket);
    this.#prefix = bucketPrefix(bucket);
    this.#forgetListeners = [this.#hearChanges(), this.#lookNowAndThen(), this.#hearReconnects()];
  }

  async begin(): Promise<void> {
    const { log } = this.#parts;
    for (let tries = 1; ; tries++) {
      try {
        await this.#readOn();
        break;
      } catch (error) {
        if (!(error instanceof Interrupted)) {
          this.stop();
          throw error;
        }
        // No answer: a disconnect, or nobody has made the bucket yet.
        if (tries === 1) log.warn("bus.watch-waits", { bucket: this.#bucket, error });
        await this.#pause(beginAgainMs);
      }
    }
    this.#isLooking = false;
    void this.#look();
  }

  stop(): void {
    this.#isStopped = true;
    for (const forget of this.#forgetListeners) forget();
    this.#wake();
  }

  #hearChanges(): () => void {
    const { link, log } = this.#parts;
    const subscription = link.nats.subscribe(`${this.#prefix}>`, {
      callback: (error) => {
        if (error !== null)
          return log.error("bus.watch-refused", { bucket: this.#bucket, problem: error.message });
        this.#owed++;
        void this.#look();
      },
    });
    return () => {
      if (!link.nats.isClosed()) subscription.unsubscribe();
    };
  }

  #lookNowAndThen(): () => void {
    const { link, lookMs } = this.#parts;
    const timer = setInterval(() => link.isConnected() && void this.#look(), lookMs);
    timer.unref();
    return () => clearInterval(timer);
  }

  #hearReconnects(): () => void {
    return this.#parts.link.onReconnect(() => {
      this.#isReconnected = true;
      void this.#look();
    });
  }

  /** Reads what is new, again and again until everything that was heard of has come. */
  async #look(): Promise<void> {
    this.#isAsked = true;
    this.#wake();
    if (this.#isLooking) return;
    this.#isLooking = true;
    try {
      await this.#lookForOwed();
    } catch (error) {
      // Cut off by a disconnect: the reconnect or the timer looks again.
      if (!(error instanceof Interrupted) && !this.#isStopped)
        this.#parts.log.warn("bus.watch-waits", { bucket: this.#bucket, error });
    } finally {
      this.#isLooking = false;
    }
  }

  async #lookForOwed(): Promise<void> {
    for (let step = 0; step < waitsMs.length && !this.#isStopped; step++) {
      if (this.#isAsked) step = 0;
      this.#isAsked = false;
      await this.#pause(waitsMs[step] ?? 0);
      if (this.#isReconnected) {
        this.#isReconnected = false;
        await this.#checkRestart();
      }
      this.#owed = Math.max(0, this.#owed - (await this.#readOn()));
      if (this.#owed === 0 && !this.#isAsked) break;
    }
    // Heard of and not stored: the stream refused it.
    this.#owed = 0;
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** A stream that ends before what was seen was made anew: read it from its start. */
  async #checkRestart(): Promise<void> {
    const { direct, log } = this.#parts;
    const last = await direct.last(this.#stream, `${this.#prefix}>`);
    if (last === undefined || last.sequence >= this.#seen) return;
    log.warn("bus.bucket-made-anew", { bucket: this.#bucket, seen: this.#seen, last: last.sequence });
    this.#seen = 0;
  }

  /** Hands over everything after what was seen; tells how many there were. */
  async #readOn(): Promise<number> {
    const { direct } = this.#parts;
    let count = 0;
    while (!this.#isStopped) {
      const page = await direct.page(this.#stream, this.#seen + 1, `${this.#prefix}>`, pageMessagesMax);
      if (this.#isStopped || page.length === 0) break;
      for (const found of page) this.#hand(found);
      count += page.length;
    }
    return count;
  }

  #hand(found: Found): void {
    this.#seen = found.sequence;
    const key = found.subject.slice(this.#prefix.length);
    const value = isDeleted(found) ? removed : readValue(this.#bucket, found);
    if (value.ok) this.#onChange(key, value.value, found.sequence);
    else this.#complain(key, value.problem);
  }

  #complain(key: string, problem: string): void {
    this.#parts.log.error("bus.value-breaks-contract", { bucket: this.#bucket, key, problem });
  }
}

const removed = { ok: true, value: undefined } as const;
