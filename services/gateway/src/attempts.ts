/** How often somebody may try a password: counted per address and per account, in this process. */
import { Failure } from "@tyto/contracts";
import { BoundedMap } from "@tyto/service";

const windowMs = 60_000;
/** Keys remembered at a time; with more the oldest is forgotten first. */
const keysMax = 10_000;

export type Attempts = {
  /** Throws Failure `limit.exceeded` when `key` was counted `max` times in the last minute. */
  count(key: string, max: number): void;
  forget(key: string): void;
};

export function createAttempts(now: () => number): Attempts {
  const windows = new BoundedMap<string, { since: number; count: number }>(keysMax);
  return {
    count(key, max) {
      const known = windows.get(key);
      const open = known !== undefined && known.since > now() - windowMs ? known : { since: now(), count: 0 };
      if (open.count >= max)
        throw new Failure("limit.exceeded", `too many attempts for ${key}`, {
          hint: "Too many attempts; wait a minute",
          retryAfterS: Math.max(1, Math.ceil((open.since + windowMs - now()) / 1_000)),
        });
      open.count++;
      windows.set(key, open);
    },
    forget: (key) => void windows.delete(key),
  };
}
