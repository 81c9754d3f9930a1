import type { Reason, Reply } from "@tyto/contracts";

/** The longest wait between two attempts. RFC 5321 §4.5.4.1 wants at least 30 minutes on average over days. */
const waitMsMax = 4 * 3_600_000;
/** Part of the wait by which it is spread both ways: retries of one campaign must not come back as one wave. */
const jitter = 0.15;
/** A receiver that asks for a retry sooner than this is not obeyed to the second. */
const hintMsMin = 10_000;
/** Hints are for the first attempts; a receiver that repeats one for hours gets the growing wait. */
const hintedAttemptsMax = 6;

/**
 * How many first waits the first wait of a reason is, where that differs from 1. A full mailbox or a limit does not pass within
 * minutes; a greylist does, and asking it sooner than usual costs nothing but keeps mail quick.
 */
const firstWaits: Partial<Record<Reason, number>> = {
  "rate.limited": 3,
  "mailbox.full": 6,
  "policy.refused": 3,
  "reputation.listed": 6,
  "content.refused": 6,
};
/** Reasons whose wait does not grow for the first attempts. */
const flatAttempts: Partial<Record<Reason, number>> = {
  greylisted: 4,
  "sender.unsigned": 8,
};

/**
 * When to try again after attempt number `attempt` (from 1) failed for `reason`: exponential with jitter and a cap,
 * or what the receiver asked for ("try again in 5 minutes"). `random` gives numbers from 0 up to 1.
 */
export function retryAt(
  attempt: number,
  reason: Reason,
  reply: Reply | undefined,
  nowMs: number,
  random: () => number,
  firstWaitMs: number,
): number {
  const asked = reply === undefined ? undefined : waitAsked(reply.text);
  if (asked !== undefined && attempt <= hintedAttemptsMax) {
    const waitMs = Math.min(Math.max(asked, Math.min(hintMsMin, firstWaitMs)), waitMsMax);
    // Never earlier than asked: a greylist starts anew for those who come too soon.
    return Math.round(nowMs + waitMs * (1 + jitter * random()));
  }
  const doublings = Math.max(0, attempt - (flatAttempts[reason] ?? 1));
  const waitMs = Math.min(firstWaitMs * (firstWaits[reason] ?? 1) * 2 ** doublings, waitMsMax);
  return Math.round(nowMs + waitMs * (1 - jitter + 2 * jitter * random()));
}

const units: Record<string, number> = { s: 1_000, m: 60_000, h: 3_600_000 };

/** The wait in ms that a reply's text asks for, as greylists and rate limits word it; `undefined` without one. */
export function waitAsked(text: string): number | undefined {
  const [, digits, unit] =
    /\b(?:try|retry|come|available|again|wait|delayed?|greylisted)\b[^.\d\n]{0,40}?(\d{1,6})\s*(s|sec|secs|seconds?|m|mins?|minutes?|h|hrs?|hours?)\b/i.exec(
      text,
    ) ?? [];
  if (digits !== undefined && unit !== undefined)
    return Number(digits) * (units[unit.charAt(0).toLowerCase()] ?? 0);
  // Postgrey: "Greylisted, see http://.../help/example.com.html" names none; milter-greylist: "come back in 00:04:59".
  const [, hours, minutes, seconds] =
    /\b(?:try|come|again|back)\b[^.\d\n]{0,40}?(\d{1,2}):(\d{2}):(\d{2})\b/i.exec(text) ?? [];
  if (hours === undefined) return undefined;
  return (Number(hours) * 3_600 + Number(minutes) * 60 + Number(seconds)) * 1_000;
}
