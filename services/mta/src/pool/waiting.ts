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
  #signal: AbortSignal | undefined;
  #abort: (() => void) | undefined;

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
    this.#signal = signal;
    this.#abort = onAbort;
    signal?.addEventListener("abort", onAbort, { once: true });
  }

  end(turn: Turn): void {
    this.#isOver = true;
    clearTimeout(this.#timer);
    if (this.#abort !== undefined) this.#signal?.removeEventListener("abort", this.#abort);
    this.#resolve(turn);
  }
}
