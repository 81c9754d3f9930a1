import type { Traffic } from "@tyto/contracts";
import type { Leave } from "../observation.ts";
import type { Place } from "./line.ts";
import type { Connection } from "./site.ts";

export type Wait = Extract<Leave, { kind: "wait" }>;

/** What one that was in line gets in the end: a session, a place to open one, or neither. */
export type Turn =
  | { kind: "idle"; connection: Connection }
  | { kind: "free" }
  | { kind: "interrupted" }
  | Wait;

const aborted = new WeakMap<AbortSignal, Set<() => void>>();

/**
 * Calls back when the signal fires, unless the result is called before. All deliveries share one signal, and a listener of
 * its own for each would take longer than all else that the line does.
 */
function whenAborted(signal: AbortSignal, callback: () => void): () => void {
  let callbacks = aborted.get(signal);
  if (callbacks === undefined) {
    const all = new Set<() => void>();
    const callAll = () => {
      for (const one of all) one();
    };
    signal.addEventListener("abort", callAll, { once: true });
    aborted.set(signal, all);
    callbacks = all;
  }
  const own = callbacks;
  own.add(callback);
  return () => void own.delete(callback);
}

/** One in line. */
export class Waiting implements Place {
  readonly traffic: Traffic;
  readonly owner: string;
  readonly use: string;
  readonly deadlineMs: number;
  /** It has taken leave of the limits already. */
  hasLeave: boolean;
  readonly turn: Promise<Turn>;
  #resolve: (turn: Turn) => void = () => {};
  #isOver = false;
  #timer: Timer | undefined;
  #forgetAbort = () => {};

  constructor({ traffic, owner }: Place, use: string, hasLeave: boolean, deadlineMs: number) {
    this.traffic = traffic;
    this.owner = owner;
    this.use = use;
    this.hasLeave = hasLeave;
    this.deadlineMs = deadlineMs;
    this.turn = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  /** Calls back when it has waited for `waitMs`, or has to stop before its turn came. */
  limit(waitMs: number, onLate: () => void, signal: AbortSignal | undefined, onAbort: () => void): void {
    if (this.#isOver) return;
    this.#timer = setTimeout(onLate, waitMs);
    if (signal !== undefined) this.#forgetAbort = whenAborted(signal, onAbort);
  }

  end(turn: Turn): void {
    this.#isOver = true;
    clearTimeout(this.#timer);
    this.#forgetAbort();
    this.#resolve(turn);
  }
}
