/** Where a message stands, from its own marks and from where its recipients stand. Pure. */
import type { AcceptedMessage, MessageStatus } from "@tyto/contracts";
import { defined } from "./defined.ts";
import { type Details, type Marks, type Outcome, previewMax, type Tally } from "./shapes.ts";

export const noMarks: Marks = { held: false, scanned: false, refused: false, cancelled: false };
export const noTally: Tally = { deferred: 0, delivered: 0, bounced: 0, suppressed: 0 };

/** How the message itself stands before any of its recipients was tried. */
export function standing(marks: Marks, scheduledAt: number | undefined): MessageStatus {
  if (marks.refused) return "refused";
  if (marks.cancelled) return "cancelled";
  if (marks.held && !marks.scanned) return "held";
  return scheduledAt === undefined ? "accepted" : "scheduled";
}

/** The one word for the whole message. `deliveryCount` is the number of recipients known so far. */
export function messageStatus(
  marks: Marks,
  tally: Tally,
  deliveryCount: number,
  scheduledAt: number | undefined,
): MessageStatus {
  const own = standing(marks, scheduledAt);
  const { deferred, delivered, bounced, suppressed } = tally;
  const waiting = Math.max(0, deliveryCount - deferred - delivered - bounced - suppressed);
  // Nothing leaves after a refusal or a cancellation: whoever was not reached by then never will be.
  const stopped = own === "refused" || own === "cancelled";
  if (stopped && delivered + bounced === 0) return own;
  if (!stopped && waiting > 0) return deferred + delivered + bounced === 0 ? own : "sending";
  if (!stopped && deferred > 0) return "deferred";
  const ended = deliveryCount;
  if (delivered === ended) return "delivered";
  if (bounced === ended) return "bounced";
  if (suppressed === ended) return "suppressed";
  return "partial";
}

/** What a recipient shows: its own outcome, or how the message stands while it waits. */
export function deliveryStatus(outcome: Outcome, own: MessageStatus): MessageStatus {
  if (outcome === "waiting") return own;
  return outcome === "deferred" && (own === "cancelled" || own === "refused") ? own : outcome;
}

/** A tally after one recipient moved from one outcome to another. */
export function withOutcome(tally: Tally, before: Outcome, after: Outcome): Tally {
  const moved = { ...tally };
  if (before !== "waiting") moved[before] -= 1;
  if (after !== "waiting") moved[after] += 1;
  return moved;
}

export function detailsOf(event: AcceptedMessage): Details {
  return defined({
    messageIdHeader: event.messageIdHeader,
    from: event.from,
    fromName: event.fromName,
    subject: event.subject,
    preview: event.recipients.slice(0, previewMax).map(({ address }) => address),
    recipientCount: event.recipients.length,
    bodyBytes: event.bodyBytes,
    attachments: event.attachments,
    tags: [...new Set(event.tags)],
    metadata: event.metadata,
    scheduledAt: event.scheduledAt,
    expiresAt: event.expiresAt,
    apiKeyId: event.apiKeyId,
  });
}

const crockford = "0123456789abcdefghjkmnpqrstvwxyz";

/** The time inside a ULID: its first ten characters are milliseconds, 5 bits each. */
export const timeOf = (messageId: string): number =>
  [...messageId.slice(0, 10)].reduce((time, digit) => time * 32 + crockford.indexOf(digit), 0);
