import type { Entry } from "./settling.ts";

type Fill = { batchMax: number; waitMs: number; flowWaitMs: number };

const flowEventsMin = 10;

/** Held in the order of the stream: a redelivery takes its place among the others. */
export class Waiting {
  readonly #ending: AbortSignal;
  #entries: Entry[] = [];
  /** Called when there may be something for the one who waits. */
  wake = () => {};

  constructor(ending: AbortSignal) {
    this.#ending = ending;
  }

  add(entry: Entry): void {
    this.#entries.push(entry);
  }

  /** Takes out the first `batchMax`. */
  take(batchMax: number): Entry[] {
    this.#entries.sort(
      (a, b) => a.delivery.sequence - b.delivery.sequence || a.delivery.line - b.delivery.line,
    );
    const batch = this.#entries.slice(0, batchMax);
    this.#entries = this.#entries.slice(batchMax);
    return batch;
  }

  /** Resolves when there is a batch to take, as full as the time allows, or when the consumption ends. */
  async whenBatch({ batchMax, waitMs, flowWaitMs }: Fill): Promise<void> {
    const isFull = () => this.#entries.length >= batchMax;
    // So many within one `waitMs` are a flow, however many a batch may hold.
    const flowMin = Math.max(2, Math.min(flowEventsMin, batchMax / 20));
    await this.#until(() => this.#entries.length > 0);
    await this.#until(isFull, waitMs);
    if (this.#entries.length >= flowMin && flowWaitMs > waitMs)
      await this.#until(isFull, flowWaitMs - waitMs);
  }

  /** Resolves after `ms`, or when the consumption ends. */
  pause(ms: number): Promise<void> {
    return this.#until(() => false, ms);
  }

  /** Resolves when `isTrue`, after `ms`, or when the consumption ends. */
  #until(isTrue: () => boolean, ms?: number): Promise<void> {
    return new Promise((resolve) => {
      const end = () => {
        if (timer) clearTimeout(timer);
        this.#ending.removeEventListener("abort", end);
        this.wake = () => {};
        resolve();
      };
      const timer = ms === undefined ? undefined : setTimeout(end, ms);
      this.#ending.addEventListener("abort", end);
      this.wake = () => isTrue() && end();
      if (isTrue() || this.#ending.aborted) end();
    });
  }
}
