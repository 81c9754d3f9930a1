import { z } from "zod";

/** Calls and functions that are not run for a while, because the engine had to be ended on their account. */
export const RefusalList = z.array(z.object({ key: z.string(), untilMs: z.number(), reason: z.string() }));
export type RefusalList = z.infer<typeof RefusalList>;

/** The engine's side: looks up each call. Nearly always the list is empty. */
export class Refusals {
  readonly #byKey: Map<string, RefusalList[number]>;

  constructor(list: RefusalList) {
    this.#byKey = new Map(list.map((refusal) => [refusal.key, refusal]));
  }

  /** Why a call is refused; null when it is not. Times are milliseconds since 1970. */
  reason(path: string, hash: string, nowMs: number): string | null {
    if (this.#byKey.size === 0) return null;
    for (const key of [callKey(hash), pathKey(path)]) {
      const refusal = this.#byKey.get(key);
      if (refusal === undefined) continue;
      if (nowMs < refusal.untilMs) {
        return `${refusal.reason}. It is refused for another ${Math.ceil((refusal.untilMs - nowMs) / 1000)} s, or until the next deploy.`;
      }
      this.#byKey.delete(key);
    }
    return null;
  }

  clear(): void {
    this.#byKey.clear();
  }
}

export const callKey = (hash: string): string => `call ${hash}`;
export const pathKey = (path: string): string => `path ${path}`;
