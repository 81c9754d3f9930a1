import type { Batch } from "../store/batch.ts";
import { UserError } from "./errors.ts";
import { outsideFrames } from "./frame.ts";
import { timers } from "./sandbox.ts";

const QUEUE_LENGTH_MAX = 10_000;
/** A batch is made durable after so much, whoever else is waiting: its first member waits for its last. */
const BATCH_MEMBERS_MAX = 256;
const BATCH_BYTES_MAX = 4 * 1024 * 1024;
const BATCH_MS_MAX = 5;

/** The SQL transaction of `store/batch.ts`, as the executor drives it. */
export type Batching = Pick<Batch, "isOpen" | "members" | "bytesWritten" | "gather" | "close">;

type Task = {
  work: () => Promise<unknown>;
  succeed: (result: unknown) => void;
  fail: (error: unknown) => void;
};

/**
 * Runs queries and mutations one at a time. They do no real I/O, so each is over within microtasks; one after
 * another they are serializable without conflicts to detect, and a query sees one moment.
 *
 * Work that joins shares a batch: mutations become durable together, with one fsync, and until then nobody learns
 * how those went, nor what a query has seen of them. Other work runs between batches and sees durable data only.
 */
export class Executor {
  readonly #batch: Batching | null;
  readonly #batchMsMax: number;
  readonly #joining: Queue<Task> = new Queue();
  readonly #alone: Queue<Task> = new Queue();
  #isRunning = false;
  #idle: (() => void)[] = [];

  /** Without a batch every mutation commits by itself: in memory there is no fsync to share. */
  constructor(batch: Batching | null, batchMsMax = BATCH_MS_MAX) {
    this.#batch = batch;
    this.#batchMsMax = batchMsMax;
  }

  /** Runs work between batches, in the order of these calls. */
  run<T>(work: () => Promise<T>): Promise<T> {
    return this.#enqueue(this.#alone, work);
  }

  /** Runs work that may share a batch, in the order of these calls; resolves when what it saw and wrote is durable. */
  join<T>(work: () => Promise<T>): Promise<T> {
    return this.#enqueue(this.#joining, work);
  }

  /** Resolves when everything that was waiting has run. */
  idle(): Promise<void> {
    return this.#isRunning ? new Promise((resolve) => this.#idle.push(resolve)) : Promise.resolve();
  }

  #enqueue<T>(queue: Queue<Task>, work: () => Promise<T>): Promise<T> {
    if (this.#joining.length + this.#alone.length >= QUEUE_LENGTH_MAX) {
      return Promise.reject(
        new UserError("TooManyConcurrentRequests", "Too many requests are waiting, try again"),
      );
    }
    return new Promise<T>((resolve, reject) => {
      queue.push({ work, succeed: resolve as (result: unknown) => void, fail: reject });
      if (this.#isRunning) return;
      this.#isRunning = true;
      // Whoever comes first starts it, perhaps a function; what comes later must not run as a part of that.
      outsideFrames(() => void this.#runAll());
    });
  }

  async #runAll(): Promise<void> {
    while (this.#alone.length + this.#joining.length > 0) {
      for (let left = this.#alone.length; left > 0; left--) await settle(this.#alone.shift());
      if (this.#joining.length > 0) await this.#runBatch();
      // However much is waiting: timers and sockets get their turn between batches.
      if (this.#joining.length > 0) await turn();
    }
    this.#isRunning = false;
    const idle = this.#idle;
    this.#idle = [];
    for (const resolve of idle) resolve();
  }

  async #runBatch(): Promise<void> {
    const batch = this.#batch;
    if (batch === null) {
      for (let left = this.#joining.length; left > 0; left--) await settle(this.#joining.shift());
      return;
    }
    const waiting: (() => void)[] = [];
    const failing: ((error: unknown) => void)[] = [];
    const endMs = performance.now() + this.#batchMsMax;
    let membersSeen = 0;
    batch.gather();
    while (batch.members < BATCH_MEMBERS_MAX && batch.bytesWritten < BATCH_BYTES_MAX) {
      const task = this.#joining.shift();
      if (task !== undefined) {
        await settle(task, (tell) => {
          if (!batch.isOpen) {
            tell();
            return;
          }
          waiting.push(tell);
          failing.push(task.fail);
        });
        if (performance.now() >= endMs) break;
        continue;
      }
      // Requests that the same turn of the event loop brings in come along, as long as it brings in mutations.
      if (!batch.isOpen || batch.members === membersSeen) break;
      membersSeen = batch.members;
      await turn();
    }
    try {
      batch.close();
    } catch (error) {
      for (const fail of failing) fail(error);
      return;
    }
    for (const tell of waiting) tell();
  }
}

/** Runs a task; `deliver` decides when its caller is told. */
async function settle(task: Task | undefined, deliver = (tell: () => void) => tell()): Promise<void> {
  if (task === undefined) return;
  try {
    const result = await task.work();
    deliver(() => task.succeed(result));
  } catch (error) {
    deliver(() => task.fail(error));
  }
}

const turn = () => new Promise<void>((resolve) => timers.setImmediate(resolve));

/** First in, first out, without moving the rest at each step. */
class Queue<T> {
  #items: T[] = [];
  #at = 0;

  get length(): number {
    return this.#items.length - this.#at;
  }

  push(item: T): void {
    this.#items.push(item);
  }

  shift(): T | undefined {
    if (this.#at >= this.#items.length) return undefined;
    const item = this.#items[this.#at++];
    if (this.#at === this.#items.length) {
      this.#items = [];
      this.#at = 0;
    }
    return item;
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
