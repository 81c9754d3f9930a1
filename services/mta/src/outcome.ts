import {
  type AttemptMark,
  type Conversation,
  type Payload,
  type QueueEntry,
  type Reason,
  type Reply,
  reasons,
  type StoredEvent,
  shortened,
} from "@tyto/contracts";
import { classifyReply, readProvider } from "@tyto/mail";
import { retryAt } from "./schedule.ts";

/** What one attempt came to. */
export type Outcome =
  | ({ kind: "delivered"; reply: Reply; conversation: Conversation } & Pick<
      Payload<"mail.delivered">,
      "dkim" | "returnPath"
    >)
  /** The server answered MAIL, RCPT, DATA or the message with a 4xx or 5xx. */
  | { kind: "refused"; reply: Reply; conversation: Conversation }
  | Failed
  | { kind: "suppressed" }
  | { kind: "expired" };

/** No answer that decides: what went wrong, in our own words. */
export type Failed = {
  kind: "failed";
  isPermanent: boolean;
  reason: Reason;
  explanation: string;
  /** The connection ended after the final dot: the server may have taken the message. */
  isInDoubt: boolean;
  reply?: Reply;
  conversation?: Conversation;
};

/** A temporary failure that nobody has to be in doubt about. */
export const failure = (reason: Reason, explanation: string): Failed => ({
  kind: "failed",
  isPermanent: false,
  reason,
  explanation,
  isInDoubt: false,
});

/** What follows from an outcome. The mark is stored first, then the event, then the next attempt. */
export type Settlement = {
  mark: AttemptMark & { event: StoredEvent };
  next?: { entry: QueueEntry; atMs: number };
  /** A rule gave it up; the server only put it off. */
  madeBy?: "rule";
};

/** `delayNoticeMs`: how long a message waits before its sender should know; 4 h without it, as mail servers have always had it. */
export type Clock = {
  nowMs: number;
  random: () => number;
  firstWaitMs: number;
  delayNoticeMs?: number | undefined;
};

/** Why an attempt that could be repeated is the last one all the same, when a rule wants that. */
export type GiveUp = (reason: Reason, reply: Reply | undefined) => string | undefined;

const delayNoticeMsUsual = 4 * 3_600_000;

const explanationCharsMax = 500;

/** The one place that decides between delivered, bounced, suppressed and trying again. */
export function settle(
  entry: QueueEntry,
  outcome: Outcome,
  clock: Clock,
  giveUp: GiveUp = () => undefined,
): Settlement {
  switch (outcome.kind) {
    case "delivered": {
      const { reply, conversation, dkim, returnPath } = outcome;
      return final(entry, {
        subject: "mail.delivered",
        payload: {
          ...about(entry, "delivered", clock.nowMs),
          attempt: entry.attempt,
          reply,
          conversation,
          dkim,
          returnPath,
        },
      });
    }
    case "suppressed":
      return final(entry, { subject: "mail.suppressed", payload: about(entry, "suppressed", clock.nowMs) });
    case "expired":
      return bounce(entry, verdictOf("expired"), "it waited here until its time was over", {}, clock);
    case "refused": {
      const classified = classifyReply(outcome.reply, readProvider(outcome.conversation.mx));
      return isPermanent(outcome.reply)
        ? bounce(entry, classified, undefined, outcome, clock)
        : defer(entry, classified.reason, undefined, outcome, clock, giveUp);
    }
    case "failed":
      return outcome.isPermanent
        ? bounce(entry, verdictOf(outcome.reason), outcome.explanation, outcome, clock)
        : defer(entry, outcome.reason, outcome.explanation, outcome, clock, giveUp);
  }
}

/**
 * A 5xx ends the attempts (RFC 5321 §4.2.1), except 503: it says that commands came in a wrong order, which is about the
 * session and not about the message.
 */
export const isPermanent = (reply: Reply) => reply.code >= 500 && reply.code !== 503;

type Evidence = { reply?: Reply; conversation?: Conversation };
type Verdict = Pick<Payload<"mail.bounced">, "reason" | "fault" | "hard" | "confidence">;

/** What is certain because we saw it ourselves. */
const verdictOf = (reason: Reason): Verdict => {
  const { fault, hard } = reasons[reason];
  return { reason, fault, hard, confidence: 1 };
};

function defer(
  entry: QueueEntry,
  reason: Reason,
  explanation: string | undefined,
  evidence: Evidence,
  clock: Clock,
  giveUp: GiveUp,
): Settlement {
  const { nowMs, random, firstWaitMs, delayNoticeMs = delayNoticeMsUsual } = clock;
  const givenUp = giveUp(reason, evidence.reply);
  if (givenUp !== undefined)
    return {
      ...bounce(entry, { ...verdictOf(reason), hard: false }, givenUp, evidence, clock),
      madeBy: "rule",
    };
  const atMs = retryAt(entry.attempt, reason, evidence.reply, nowMs, random, firstWaitMs);
  if (atMs >= entry.expiresAt) {
    const last = `gave up after ${entry.attempt} attempts; the last one: ${explanation ?? reasons[reason].say}`;
    return bounce(entry, verdictOf("expired"), last, evidence, clock);
  }
  const isLate =
    entry.isDelayTold !== true && nowMs - Math.max(entry.acceptedAt, entry.scheduledAt ?? 0) >= delayNoticeMs;
  const event: StoredEvent = {
    subject: "mail.deferred",
    payload: {
      ...about(entry, "deferred", nowMs),
      attempt: entry.attempt,
      reason,
      ...shown(explanation, evidence),
      nextAttemptAt: atMs,
      ...(isLate ? { isDelayNotice: true } : {}),
    },
  };
  return {
    mark: { attempt: entry.attempt, final: false, event },
    next: { entry: { ...after(entry, isLate), lastReason: reason }, atMs },
  };
}

/** The entry of the next attempt. */
export const after = ({ looks: _, ...entry }: QueueEntry, isDelayTold: boolean): QueueEntry => ({
  ...entry,
  attempt: entry.attempt + 1,
  ...(isDelayTold ? { isDelayTold } : {}),
});

function bounce(
  entry: QueueEntry,
  verdict: Verdict,
  explanation: string | undefined,
  evidence: Evidence,
  { nowMs }: Clock,
): Settlement {
  const { reason, fault, hard, confidence } = verdict;
  const remoteMta = evidence.conversation?.mx;
  return final(entry, {
    subject: "mail.bounced",
    payload: {
      ...about(entry, "bounced", nowMs),
      source: "smtp",
      reason,
      fault,
      hard,
      confidence,
      attempt: entry.attempt,
      ...shown(explanation, evidence),
      ...(remoteMta === undefined ? {} : { remoteMta }),
    },
  });
}

const final = (entry: QueueEntry, event: StoredEvent): Settlement => ({
  mark: { attempt: entry.attempt, final: true, event },
});

/** The id is made of what happened, so that saying it twice is saying it once. */
const about = (entry: QueueEntry, verb: string, nowMs: number) => ({
  id: `${entry.deliveryId}.${entry.attempt}.${verb}`,
  at: nowMs,
  organizationId: entry.organizationId,
  messageId: entry.messageId,
  deliveryId: entry.deliveryId,
  recipient: entry.recipient,
  ...(entry.traceparent === undefined ? {} : { traceparent: entry.traceparent }),
});

const shown = (explanation: string | undefined, { reply, conversation }: Evidence) => ({
  ...(reply === undefined ? {} : { reply }),
  ...(explanation === undefined ? {} : { explanation: shortened(explanation, explanationCharsMax) }),
  ...(conversation === undefined ? {} : { conversation }),
});
