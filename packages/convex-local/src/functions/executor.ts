import { UserError } from "./errors.ts";

const QUEUE_LENGTH_MAX = 10_000;

/**
 * Runs queries and mutations one at a time. They do no real I/O, so each is over within microtasks; one after
 * another they are serializable without conflicts to detect, and a query sees one moment.
 */
export class Executor {
  #tail: Promise<unknown> = Promise.resolve();
  #length = 0;

  run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#length >= QUEUE_LENGTH_MAX) {
      return Promise.reject(
        new UserError("TooManyConcurrentRequests", "Too many requests are waiting, try again"),
      );
    }
    this.#length++;
    const result = this.#tail.then(work);
    this.#tail = result.then(
      () => this.#length--,
      () => this.#length--, // The caller has the error; the queue goes on.
    );
    return result;
  }

  /** Resolves when everything that was waiting has run. */
  idle(): Promise<unknown> {
    return this.#tail;
  }
}

/** Lets at most `runningMax` pieces of work run at once; up to `waitingMax` more wait in order. */
export class Slots {
  readonly #runningMax: number;
  readonly #waitingMax: number;
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  constructor(runningMax: number, waitingMax: number) {
    this.#runningMax = runningMax;
    this.#waitingMax = waitingMax;
  }

  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#running >= this.#runningMax) {
      if (this.#waiting.length >= this.#waitingMax) {
        throw new UserError("TooManyConcurrentRequests", "Too many actions are waiting, try again");
      }
      // The slot is handed over by the one that ends, so the count stays.
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    } else {
      this.#running++;
    }
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#running--;
      else next();
    }
  }
}
