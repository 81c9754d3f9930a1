/**
 * What the events about one recipient add up to. Each event makes a claim, and the strongest claim decides: the order
 * of claims is total, so neither the order of arrival nor a repeat changes the result.
 */
import type { Payload, Reason, Reply } from "@tyto/contracts";
import { defined } from "./defined.ts";
import type { DeliveryState, Outcome } from "./shapes.ts";

export type Claim = {
  outcome: Outcome;
  rank: number;
  attempt: number;
  at: number;
  eventId: string;
  reason?: Reason | undefined;
  reply?: string | undefined;
  mx?: string | undefined;
  nextAttemptAt?: number | undefined;
};

/** Lowest first. A report that comes back later knows more than the server that took the mail (RFC 3464 §1). */
const ranks = {
  deferred: 1,
  suppressed: 2,
  bouncedBySmtp: 3,
  delivered: 4,
  bouncedByReport: 5,
} as const;

export const untouched = (at: number): DeliveryState => ({ outcome: "waiting", attempts: 0, updatedAt: at });

export const touched = (state: DeliveryState, at: number): DeliveryState => ({
  ...state,
  updatedAt: Math.max(state.updatedAt, at),
});

/** The state after one more claim. Commutative, associative and idempotent. */
export function withClaim(state: DeliveryState, claim: Claim): DeliveryState {
  const attempts = Math.max(state.attempts, claim.attempt);
  const updatedAt = Math.max(state.updatedAt, claim.at);
  if (state.decidedBy !== undefined && compare(claim, state.decidedBy) <= 0)
    return { ...state, attempts, updatedAt };
  const { rank, attempt, at, eventId, ...decided } = claim;
  return defined({ ...decided, attempts, updatedAt, decidedBy: { rank, attempt, at, eventId } });
}

type Order = { rank: number; attempt: number; at: number; eventId: string };
const compare = (a: Order, b: Order): number =>
  a.rank - b.rank ||
  a.attempt - b.attempt ||
  a.at - b.at ||
  (a.eventId < b.eventId ? -1 : a.eventId > b.eventId ? 1 : 0);

export const claims = {
  "mail.suppressed": (event: Payload<"mail.suppressed">): Claim => ({
    outcome: "suppressed",
    rank: ranks.suppressed,
    attempt: 0,
    at: event.at,
    eventId: event.id,
  }),
  "mail.deferred": (event: Payload<"mail.deferred">): Claim => ({
    outcome: "deferred",
    rank: ranks.deferred,
    attempt: event.attempt,
    at: event.at,
    eventId: event.id,
    reason: event.reason,
    reply: replyLine(event),
    mx: event.conversation?.mx,
    nextAttemptAt: event.nextAttemptAt,
  }),
  "mail.delivered": (event: Payload<"mail.delivered">): Claim => ({
    outcome: "delivered",
    rank: ranks.delivered,
    attempt: event.attempt,
    at: event.at,
    eventId: event.id,
    reply: replyLine(event),
    mx: event.conversation.mx,
  }),
  "mail.bounced": (event: Payload<"mail.bounced">): Claim => ({
    outcome: "bounced",
    rank: event.source === "dsn" ? ranks.bouncedByReport : ranks.bouncedBySmtp,
    attempt: event.attempt ?? 0,
    at: event.at,
    eventId: event.id,
    reason: event.reason,
    reply: replyLine(event),
    mx: event.conversation?.mx ?? event.remoteMta,
  }),
};

/** `550 5.1.1 No such user`; our explanation where there was no reply. */
export function replyLine(event: {
  reply?: Reply | undefined;
  explanation?: string | undefined;
}): string | undefined {
  if (event.reply === undefined) return event.explanation;
  const { code, enhanced, text } = event.reply;
  const repeats = enhanced === undefined || text.startsWith(enhanced);
  return [String(code), repeats ? "" : enhanced, text].filter((part) => part !== "").join(" ");
}
