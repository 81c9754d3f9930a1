import type { Doing } from "./board.ts";
import { callKey, pathKey, type RefusalList } from "./refusals.ts";

/** Why the engine ended: a call took too long, took too much memory, or nobody knows. */
export type EndReason = "time" | "memory" | "crash";

export const SAYS: Record<EndReason, string> = {
  time: "Function execution timed out",
  memory: "JavaScript execution ran out of memory",
  crash: "The function ran each time when the engine crashed",
};

const FIRST_REFUSAL_MS = 60_000;
const REFUSAL_MS_MAX = 3600_000;
/** A crash may be anybody's fault: the same call must have been running so many times. */
const CRASHES_UNTIL_REFUSAL = 3;
/** So many ends in a short time, with whatever arguments, and the whole function is refused. */
const ENDS_PER_FUNCTION_MAX = 3;
const ENDS_PERIOD_MS = 600_000;
const KEYS_MAX = 1000;

type Strike = { ends: number; crashes: number; lastMs: number; untilMs: number; reason: string };

/**
 * The watcher's side: counts how often a call was running when the engine had to be ended. A client that
 * reconnects asks for the same again, and so does a scheduled function: without this they would end the engine
 * for ever.
 */
export class Strikes {
  readonly #byKey = new Map<string, Strike>();

  /** The engine has ended while these were running; several are suspects together. */
  add(suspects: readonly Doing[], reason: EndReason, nowMs: number): void {
    for (const { path, hash } of suspects) {
      if (suspects.length === 1) this.#addCall(callKey(hash), path, reason, nowMs);
      this.#addFunction(pathKey(path), path, reason, nowMs);
    }
    for (const key of this.#byKey.keys()) {
      if (this.#byKey.size <= KEYS_MAX) break;
      this.#byKey.delete(key);
    }
  }

  refusals(nowMs: number): RefusalList {
    return [...this.#byKey]
      .filter(([, { untilMs }]) => untilMs > nowMs)
      .map(([key, { untilMs, reason }]) => ({ key, untilMs, reason }));
  }

  clear(): void {
    this.#byKey.clear();
  }

  #addCall(key: string, path: string, reason: EndReason, nowMs: number): void {
    const strike = this.#strike(key);
    if (reason === "crash") strike.crashes++;
    else strike.ends++;
    const refused = strike.ends + Math.max(strike.crashes - CRASHES_UNTIL_REFUSAL + 1, 0);
    strike.lastMs = nowMs;
    if (refused > 0) {
      strike.untilMs = nowMs + Math.min(FIRST_REFUSAL_MS * 2 ** (refused - 1), REFUSAL_MS_MAX);
      strike.reason = `${SAYS[reason]}: ${path} with these arguments`;
    }
  }

  #addFunction(key: string, path: string, reason: EndReason, nowMs: number): void {
    const strike = this.#strike(key);
    if (nowMs - strike.lastMs > ENDS_PERIOD_MS) strike.ends = 0;
    strike.ends++;
    strike.lastMs = nowMs;
    // Crashes may be anybody's fault, and an often called function runs during most of them.
    if (strike.ends < ENDS_PER_FUNCTION_MAX || reason === "crash") return;
    strike.untilMs = nowMs + ENDS_PERIOD_MS;
    strike.reason = `${SAYS[reason]}: ${path}, ${strike.ends} times`;
  }

  #strike(key: string): Strike {
    const strike = this.#byKey.get(key) ?? { ends: 0, crashes: 0, lastMs: 0, untilMs: 0, reason: "" };
    // Again the newest, so that the oldest are forgotten first.
    this.#byKey.delete(key);
    this.#byKey.set(key, strike);
    return strike;
  }
}
