import { UserError } from "./errors.ts";

const WINDOW_MS = 1000;

/**
 * How many bytes mutations may write within a second. The official backend refuses more with TooManyWrites, and
 * the caller comes again. A single mutation may be larger than the rate: what is refused is the one after it.
 */
export class WriteRate {
  readonly #bytesPerSecondMax: number;
  /** What was committed within the window, oldest first. */
  #commits: { ms: number; bytes: number }[] = [];
  #bytes = 0;

  /** 0 allows any rate. */
  constructor(bytesPerSecondMax: number) {
    this.#bytesPerSecondMax = bytesPerSecondMax;
  }

  /** Counts what a mutation is about to commit. Throws UserError `TooManyWrites`. */
  take(bytes: number, nowMs: number): void {
    if (this.#bytesPerSecondMax === 0 || bytes === 0) return;
    const gone = this.#commits.findIndex(({ ms }) => Math.abs(nowMs - ms) < WINDOW_MS);
    for (const old of this.#commits.splice(0, gone < 0 ? this.#commits.length : gone))
      this.#bytes -= old.bytes;
    if (this.#bytes >= this.#bytesPerSecondMax) {
      throw new UserError(
        "TooManyWrites",
        `Too many bytes are being written (limit: ${this.#bytesPerSecondMax} bytes per second). Try again in a moment.`,
      );
    }
    const newest = this.#commits.at(-1);
    // Commits of one tenth of a second are one entry, so there are never more than some ten.
    if (newest !== undefined && nowMs - newest.ms < WINDOW_MS / 10) newest.bytes += bytes;
    else this.#commits.push({ ms: nowMs, bytes });
    this.#bytes += bytes;
  }
}
