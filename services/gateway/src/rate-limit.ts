/** So many requests per caller and second, counted on the bus, so that several gateways share the count. */
import type { Bus } from "@tyto/bus";
import { Failure } from "@tyto/contracts";

const windowMs = 1_000;

export type Quota = { limit: number; remaining: number; resetAtS: number; isExceeded: boolean };

/** What `count` requests in the window of `nowMs` mean. */
function quotaAt(count: number, limit: number, nowMs: number): Quota {
  return {
    limit,
    remaining: Math.max(0, limit - count),
    resetAtS: Math.ceil((Math.floor(nowMs / windowMs) + 1) * (windowMs / 1_000)),
    isExceeded: count > limit,
  };
}

export type RateLimit = (callerId: string) => Promise<Quota>;

/**
 * Counts one request. Without the bus nothing is limited: what needs the bus fails by itself then, and reading the
 * state of mail is worth more than the limit.
 */
export function createRateLimit(
  limitPerS: number,
  bus: Pick<Bus, "count" | "isConnected">,
  now: () => number,
): RateLimit {
  return async (callerId) => {
    const nowMs = now();
    if (!bus.isConnected()) return quotaAt(0, limitPerS, nowMs);
    try {
      return quotaAt(await bus.count(callerId, windowMs), limitPerS, nowMs);
    } catch (error) {
      if (error instanceof Failure && error.code === "upstream.down") return quotaAt(0, limitPerS, nowMs);
      throw error;
    }
  };
}

export const quotaHeaders = (quota: Quota): Record<string, string> => ({
  "X-RateLimit-Limit": String(quota.limit),
  "X-RateLimit-Remaining": String(quota.remaining),
  "X-RateLimit-Reset": String(quota.resetAtS),
});

/** Throws Failure `limit.exceeded`; the window is a second long. */
export function refuseExceeded(quota: Quota): void {
  if (!quota.isExceeded) return;
  throw new Failure("limit.exceeded", "too many requests in one second", {
    hint: `At most ${quota.limit} requests per second; a batch of 500 messages is one request`,
    retryAfterS: windowMs / 1_000,
  });
}
