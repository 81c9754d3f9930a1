const ATTEMPTS_MAX = 4;

/**
 * Chooses mutations that are rolled back and run again, as the official backend does when two of them conflict.
 * Here nothing conflicts, so without this nobody would notice a mutation that cannot bear to run twice. The
 * choice is made by a fixed sequence: a test that fails, fails again.
 */
export class Retries {
  readonly #share: number;
  #state = 0x9e3779b9;

  /** `percent` of the attempts are rolled back; 0 is never, 100 is as often as the official backend would. */
  constructor(percent: number) {
    this.#share = percent / 100;
  }

  /** Whether a mutation that has succeeded at its nth attempt (from 1 on) is to run once more. */
  isToRunAgain(attempt: number): boolean {
    return this.#share > 0 && attempt < ATTEMPTS_MAX && this.#next() < this.#share;
  }

  /** Marsaglia's xorshift: enough to choose by. */
  #next(): number {
    let x = this.#state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#state = x;
    return (x >>> 0) / 2 ** 32;
  }
}
