/** Durables that share one bound: each is a lane, which takes up to its places of all the places. */
import type { Consumption, Verdict } from "./bus.ts";
import { createHand, type Hand } from "./hand.ts";
import { createJudge, type Judge } from "./judging.ts";
import { createLoad, type Load } from "./load.ts";
import { type Parts, specOf } from "./parts.ts";
import { type Delivery, openReader, type Reader } from "./reader.ts";
import { createSlots, type Slots } from "./slots.ts";

export type LaneSpec = { stream: string; durable: string; places: number };

export type LanesOptions = {
  /** Places over all lanes. */
  concurrency: number;
  /** Places that may be held of a lane beyond those that are handled. */
  heldMoreMax?: number;
  /** How many places a message takes, and the most that one can take. */
  weightOf: (delivery: Delivery) => number;
  weightMax: number;
  /**
   * Retries wait here instead of on the server: for a stream that is purged, because a purge makes the server forget
   * what it was about to deliver again, until `ackWaitMs` has passed.
   */
  retriesHere?: boolean;
  /** `settled` tells of places that others may have before the message is handled. */
  handle: (delivery: Delivery, settled: (places: number) => void) => Promise<Verdict>;
};

/** Takes what the durables hand out, until `stop`: what was not begun goes back then, and what is in hand is finished. */
export function consumeLanes(
  parts: Parts,
  durables: readonly LaneSpec[],
  options: LanesOptions,
): Consumption {
  const judge = createJudge(parts);
  const slots = createSlots(
    options.concurrency,
    durables.map(({ places }) => places),
  );
  const ending = new AbortController();
  const lanes = durables.map(
    (spec, index) => new Lane(parts, { ...spec, index }, options, judge, slots, ending.signal),
  );

  let stopping: Promise<void> | undefined;
  const stop = async () => {
    await Promise.all(lanes.map((lane) => lane.stopReading()));
    ending.abort();
    slots.clear();
    for (const lane of lanes) lane.giveBack();
    await slots.whenIdle();
    for (const lane of lanes) lane.end();
  };
  return {
    stop: () => {
      stopping ??= stop();
      return stopping;
    },
  };
}

class Lane {
  readonly #spec: LaneSpec & { index: number };
  readonly #options: LanesOptions;
  readonly #judge: Judge;
  readonly #slots: Slots;
  readonly #ending: AbortSignal;
  readonly #metrics: Parts["metrics"];
  readonly #hand: Hand;
  readonly #load: Load;
  readonly #reader: Reader;
  /** By their sequence; what waits for its retry is not begun either. */
  readonly #unbegun = new Map<number, Delivery>();

  constructor(
    { link, log, metrics }: Parts,
    spec: LaneSpec & { index: number },
    options: LanesOptions,
    judge: Judge,
    slots: Slots,
    ending: AbortSignal,
  ) {
    const { stream, durable, places } = spec;
    this.#spec = spec;
    this.#options = options;
    this.#judge = judge;
    this.#slots = slots;
    this.#ending = ending;
    this.#metrics = metrics;
    metrics.consumes(stream, durable);
    this.#hand = createHand(link, specOf(durable).ackWaitMs);
    this.#load = createLoad(places + (options.heldMoreMax ?? 0), options.weightMax);
    this.#reader = openReader(link, { stream, durable }, log, this.#load.room, (delivery) =>
      this.#receive(delivery),
    );
  }

  stopReading = (): Promise<void> => this.#reader.stop();

  giveBack(): void {
    for (const delivery of this.#unbegun.values()) this.#hand.giveBack(delivery);
    this.#unbegun.clear();
  }

  end(): void {
    this.giveBack();
    this.#hand.stop();
  }

  #receive(delivery: Delivery): void {
    this.#metrics.consumed(this.#spec.durable, delivery.times > 1);
    if (!this.#hand.take(delivery)) return;
    const weight = this.#options.weightOf(delivery);
    this.#load.add(weight);
    this.#unbegun.set(delivery.sequence, delivery);
    this.#enqueue(delivery, weight);
  }

  #enqueue(delivery: Delivery, weight: number): void {
    if (this.#ending.aborted) {
      this.#hand.giveBack(delivery);
      return;
    }
    const { index, places } = this.#spec;
    this.#slots.push(index, {
      weight: Math.min(weight, places),
      run: (free) => this.#work(delivery, weight, free),
    });
  }

  async #work(delivery: Delivery, weight: number, free: (places: number) => void): Promise<void> {
    const { handle, retriesHere = false } = this.#options;
    this.#unbegun.delete(delivery.sequence);
    let held = weight;
    const settled = (places: number) => {
      const gone = Math.min(places, held - 1);
      if (gone === 0) return;
      held -= gone;
      this.#load.remove(gone);
      free(gone);
      this.#reader.refill();
    };
    const verdict = await this.#judge(delivery, () => handle(delivery, settled));
    if (verdict.kind === "retry" && retriesHere) {
      const again = { ...delivery, times: delivery.times + 1 };
      this.#unbegun.set(delivery.sequence, again);
      after(verdict.afterMs, this.#ending, () => this.#enqueue(again, held));
    } else {
      this.#load.remove(held);
      this.#hand.settle(delivery, verdict);
    }
    this.#reader.refill();
  }
}

/** Calls back after `ms`, unless the signal comes first. */
function after(ms: number, signal: AbortSignal, callback: () => void): void {
  const timer = setTimeout(() => {
    signal.removeEventListener("abort", cancel);
    callback();
  }, ms);
  const cancel = () => clearTimeout(timer);
  if (signal.aborted) cancel();
  else signal.addEventListener("abort", cancel, { once: true });
}
