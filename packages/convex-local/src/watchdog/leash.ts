import { drainMicrotasks } from "bun:jsc";
import { Script } from "node:vm";

/** The work went on for longer than it may, and was ended. */
export class LeashEnd extends Error {}

let entry = () => {};
const ENTRY = Symbol.for("convex-local.leash");
Object.defineProperty(globalThis, ENTRY, { value: () => entry() });
const script = new Script(`globalThis[Symbol.for(${JSON.stringify(ENTRY.description)})]()`, {
  filename: "convex-local-leash",
});

/**
 * Starts work and runs all microtasks that come of it, for at most `msMax` milliseconds; then the engine of
 * JavaScript ends it wherever it is, past any `catch` and `finally`. Throws LeashEnd in that case. Work that
 * still waits for something afterwards, such as native cryptography, goes on without a leash.
 *
 * What is ended takes every waiting microtask with it. So those of others are run first, outside.
 */
export function onLeash<T>(msMax: number, work: () => Promise<T>): Promise<T> {
  drainMicrotasks();
  const outer = entry;
  let result: Promise<T> | undefined;
  entry = () => {
    result = work();
    drainMicrotasks();
  };
  try {
    script.runInThisContext({ timeout: msMax });
  } catch (error) {
    if (isTimeout(error)) throw new LeashEnd(`ended after ${msMax} ms`);
    throw error;
  } finally {
    entry = outer;
  }
  return result ?? Promise.reject(new Error("The work was not started"));
}

const isTimeout = (error: unknown): boolean =>
  error instanceof Error && "code" in error && error.code === "ERR_SCRIPT_EXECUTION_TIMEOUT";
