import { UserError } from "./errors.ts";

const WINDOW_MS = 1000;

/**
 * How many bytes mutations may write within a second. The official backend refuses more with TooManyWrites, and
 * the caller comes again. A single mutation may be larger than the rate: what is refused is the one after it.
 */
export class WriteRate {
  readonly #bytesPerSecondMax: number;
  #windowMs = Number.NEGATIVE_INFINITY;
  #bytes = 0;

  /** 0 allows any rate. */
  constructor(bytesPerSecondMax: number) {
    this.#bytesPerSecondMax = bytesPerSecondMax;
  }

  /** Counts what a mutation is about to commit. Throws UserError `TooManyWrites`. */
  take(bytes: number, nowMs: number): void {
    if (this.#bytesPerSecondMax === 0 || bytes === 0) return;
    if (nowMs - this.#windowMs >= WINDOW_MS || nowMs < this.#windowMs) {
      this.#windowMs = nowMs;
      this.#bytes = 0;
    }
    if (this.#bytes >= this.#bytesPerSecondMax) {
      throw new UserError(
        "TooManyWrites",
        `Too many bytes are being written (limit: ${this.#bytesPerSecondMax} bytes per second). Try again in a moment.`,
      );
    }
    this.#bytes += bytes;
  }
}
