/**
 * What the events about one recipient add up to. Each event makes a claim, and the strongest claim decides: the order
 * of claims is total, so neither the order of arrival nor a repeat changes the result.
 */
import { type Payload, type Reason, type Reply, standingOf, standings } from "@tyto/contracts";
import { defined } from "./defined.ts";
import type { Bounce, DeliveryState, Outcome } from "./shapes.ts";

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
  /** Of a bounce: its place in `standings`. */
  standing?: number;
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
  const bounce = strongerBounce(state.bounce, bounceIn(claim));
  const isDecisive = state.decidedBy === undefined || compare(claim, state.decidedBy) > 0;
  const told = isDecisive ? toldBy(claim) : state;
  // Why it bounced is what the best founded bounce says, whichever was told last.
  const why = told.outcome === "bounced" && bounce !== undefined ? reasonIn(bounce) : {};
  return defined({ ...told, ...why, attempts, updatedAt, bounce });
}

const toldBy = ({ outcome, reason, reply, mx, nextAttemptAt, ...claim }: Claim) => ({
  ...{ outcome, reason, reply, mx, nextAttemptAt },
  decidedBy: orderOf(claim),
});

const orderOf = ({ rank, attempt, at, eventId }: Order): Order => ({ rank, attempt, at, eventId });
const reasonIn = ({ reason, reply, mx }: Pick<Claim, "reason" | "reply" | "mx">) => ({ reason, reply, mx });

function bounceIn(claim: Claim): Bounce | undefined {
  const { standing } = claim;
  return standing === undefined ? undefined : defined({ standing, ...orderOf(claim), ...reasonIn(claim) });
}

function strongerBounce(a: Bounce | undefined, b: Bounce | undefined): Bounce | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return (b.standing - a.standing || compare(b, a)) > 0 ? b : a;
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
    standing: standings.indexOf(standingOf(event)),
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
