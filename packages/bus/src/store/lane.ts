import { Failure } from "@tyto/contracts";
import type { Message } from "./store.ts";
import { type StoringParts, storeUnits, type Unit } from "./storing.ts";

/** How calls share the way to the server. */
export type LaneLimits = {
  /** A batch costs the server about as much as this many single messages, however few are in it. */
  batchMessagesMin: number;
  batchMessagesMax: number;
  /** The server stores one batch after the other; the more wait meanwhile, the more share the next one. */
  batchesMax: number;
  singlesMax: number;
};

const batchBytesMax = 4_194_304;
const waitingBytesMax = 134_217_728;

/** Calls on their way to one stream, and those that wait to share the next batch. */
export class Lane {
  readonly #parts: StoringParts;
  readonly #publishMs: number;
  readonly #limits: LaneLimits;
  #waiting: Unit[] = [];
  #waitingBytes = 0;
  #waitingMessages = 0;
  #singles = 0;
  #batches = 0;
  #isLaunching = false;

  constructor(parts: StoringParts, publishMs: number, limits: LaneLimits) {
    this.#parts = parts;
    this.#publishMs = publishMs;
    this.#limits = limits;
  }

  /** Resolves when all of `messages` are stored. */
  add(messages: readonly Message[]): Promise<void> {
    return new Promise((resolve, reject) => {
      const bytes = messages.reduce((sum, { data }) => sum + data.length, 0);
      if (this.#waitingBytes > 0 && this.#waitingBytes + bytes > waitingBytesMax)
        return reject(new Failure("upstream.down", `more than ${waitingBytesMax} bytes wait for NATS`));
      this.#waitingBytes += bytes;
      this.#waitingMessages += messages.length;
      this.#waiting.push({ messages, bytes, giveUpAtMs: Date.now() + this.#publishMs, resolve, reject });
      if (this.#isLaunching) return;
      this.#isLaunching = true;
      // After this turn of the event loop's microtasks: calls made side by side share the first batch already.
      queueMicrotask(() => this.#launch());
    });
  }

  #launch(): void {
    this.#isLaunching = false;
    const { batchMessagesMin, batchesMax, singlesMax } = this.#limits;
    while (this.#waiting.length > 0) {
      const isWorthBatch =
        this.#waitingMessages >= batchMessagesMin || this.#waiting[0]?.messages.length !== 1;
      if (isWorthBatch && this.#batches < batchesMax) this.#launchBatch();
      else if (!isWorthBatch && this.#singles < singlesMax) this.#launchSingle();
      else return;
    }
  }

  #launchBatch(): void {
    this.#batches++;
    void storeUnits(this.#parts, this.#take(this.#fitting())).finally(() => {
      this.#batches--;
      this.#launch();
    });
  }

  #launchSingle(): void {
    this.#singles++;
    void storeUnits(this.#parts, this.#take(1)).finally(() => {
      this.#singles--;
      this.#launch();
    });
  }

  #take(count: number): Unit[] {
    const units = this.#waiting.slice(0, count);
    this.#waiting = this.#waiting.slice(count);
    for (const unit of units) {
      this.#waitingBytes -= unit.bytes;
      this.#waitingMessages -= unit.messages.length;
    }
    return units;
  }

  /** How many of those that wait fit into one batch; at least one. */
  #fitting(): number {
    let messages = 0;
    let bytes = 0;
    const over = this.#waiting.findIndex((unit, index) => {
      messages += unit.messages.length;
      bytes += unit.bytes;
      return index > 0 && (messages > this.#limits.batchMessagesMax || bytes > batchBytesMax);
    });
    return over < 0 ? this.#waiting.length : over;
  }
}
