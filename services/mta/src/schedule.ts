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
 * minutes. A receiver that refuses by policy or by a block list is not convinced by haste, and asking it often makes it worse.
 */
const firstWaits: Partial<Record<Reason, number>> = {
  "rate.limited": 3,
  "mailbox.full": 6,
  "policy.refused": 6,
  "reputation.listed": 6,
  "content.refused": 6,
  "sender.refused": 6,
  "sender.unauthenticated": 6,
  "recipient.refused": 6,
};
/**
 * Waits before the first ones grow, in first waits. Greylists open after one to five minutes: asking early costs nothing but keeps
 * mail quick, and the second question comes just after the five minutes of the most common ones. Keys are soon published.
 */
const steadyWaits: Partial<Record<Reason, readonly number[]>> = {
  greylisted: [0.4, 0.8, 1, 1],
  "sender.unsigned": [1, 1, 1, 1, 1, 1, 1, 1],
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
  const steady = steadyWaits[reason] ?? [1];
  const doublings = Math.max(0, attempt - steady.length);
  const first = steady[Math.min(attempt, steady.length) - 1] ?? 1;
  const waitMs = Math.min(firstWaitMs * (firstWaits[reason] ?? 1) * first * 2 ** doublings, waitMsMax);
  return Math.round(nowMs + waitMs * (1 - jitter + 2 * jitter * random()));
}

/** Seconds, minutes, hours and days in the languages that receivers speak: one group each. */
const unitWords =
  "(?:(s|secs?|seconds?|sek|sekunden?|secondes?|segundos?|secondi|seconden)|(m|mins?|minutes?|minuten?|minutos?|minuti|minuto)|(h|hrs?|hours?|stunden?|std|heures?|horas?|ore|ora|uur)|(d|days?|tage?n?|jours?|d[ií]as?|giorni))";
/** What stands before a wait: "try again in", "come back in", "greylisted for", "réessayez dans". */
const cues =
  "try|retry|come|available|again|wait|delayed?|gr[ea]ylist(?:ed|ing)|later|erneut|wieder|versuchen|warten|r[ée]essaye[rz]?|essaye[rz]?|reint[ée]nt\\w*|int[ée]nt\\w*|vuelva|espere|tente|tentar|aguarde|riprov\\w*|opnieuw|probeer";
/** What stands behind one: "in 5 Minuten erneut versuchen", "300 seconds remaining". */
const cuesBehind = "later|remaining|left|to go|erneut|wieder|warten|nochmals?|opnieuw";

const before = new RegExp(
  `(?<!\\p{L})(?:${cues})(?!\\p{L})[^.\\d\\n]{0,40}?(\\d{1,6})\\s*${unitWords}(?!\\p{L})`,
  "iu",
);
const behind = new RegExp(
  `(?<![\\d.:])(\\d{1,6})\\s*${unitWords}(?!\\p{L})[^.\\d\\n]{0,20}?(?<!\\p{L})(?:${cuesBehind})(?!\\p{L})`,
  "iu",
);
/** milter-greylist: "come back in 00:04:59". */
const clock = /\b(?:try|come|again|back|retry|wait)\b[^.\d\n]{0,40}?(\d{1,2}):(\d{2}):(\d{2})\b/i;

/**
 * The wait in ms that a reply's text asks for, as greylists and rate limits word it; `undefined` without one. Postgrey's "Greylisted,
 * see http://…/help/example.com.html" names none.
 */
export function waitAsked(text: string): number | undefined {
  const [, digits, seconds, minutes, hours] = before.exec(text) ?? behind.exec(text) ?? [];
  if (digits !== undefined) {
    const unitS =
      seconds !== undefined ? 1 : minutes !== undefined ? 60 : hours !== undefined ? 3_600 : 86_400;
    return Number(digits) * unitS * 1_000;
  }
  const [, h, m, s] = clock.exec(text) ?? [];
  return h === undefined ? undefined : (Number(h) * 3_600 + Number(m) * 60 + Number(s)) * 1_000;
}
