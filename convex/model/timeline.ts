/**
 * The life of a message, event by event: the first few in the message's own row, the others as rows. Finding an event's
 * id in one of them means that it was applied.
 */
import { type StoredEvent, type Subject, unknownRecipient } from "@tyto/contracts";
import type { Doc } from "../_generated/dataModel";
import type { MutationCtx, QueryCtx } from "../_generated/server";
import { defined } from "./defined.ts";
import { replyLine } from "./delivery.ts";
import { eventsHeldMax, type HeldEvent } from "./shapes.ts";

type AboutMessage = Exclude<
  Subject,
  | "domain.keyed"
  | "mail.received"
  | "report.dmarc"
  | "report.tls"
  | "sending.held"
  | "sending.released"
  | "egress.quarantined"
  | "egress.released"
>;
export type MessageEvent = Extract<StoredEvent, { subject: AboutMessage }>;

const timelineRowsMax = 2_000;
const previewCharsMax = 280;

export async function isOnTimeline(ctx: QueryCtx, eventId: string): Promise<boolean> {
  const row = await ctx.db
    .query("timeline")
    .withIndex("by_eventId", (range) => range.eq("eventId", eventId))
    .first();
  return row !== null;
}

export async function addToTimeline(ctx: MutationCtx, event: MessageEvent): Promise<void> {
  const { id: eventId, messageId, at } = event.payload;
  await ctx.db.insert("timeline", { eventId, messageId, at, ...lineOf(event) });
}

/** The same for the message's own row: as text, which costs a third of what its members would. */
export const heldEventOf = (event: MessageEvent): HeldEvent => ({
  eventId: event.payload.id,
  at: event.payload.at,
  line: JSON.stringify(lineOf(event)),
});

/** Whether the row of a message holds every event of it, so that there are no rows to look through. */
export const holdsAll = ({ events }: Pick<Doc<"messages">, "events">): boolean =>
  events !== undefined && events.length < eventsHeldMax;

type Line = Pick<Doc<"timeline">, "subject" | "deliveryId" | "recipient" | "reply" | "detail">;

function lineOf(event: MessageEvent): Line {
  const { payload } = event;
  return defined({
    subject: event.subject,
    deliveryId: "deliveryId" in payload ? payload.deliveryId : undefined,
    recipient: "recipient" in payload && !isReport(event) ? payload.recipient : undefined,
    reply: replyIn(event),
    detail: detailOf(event),
  });
}

/** What the other side said, or what we say for it. */
export function replyIn(event: MessageEvent): string | undefined {
  switch (event.subject) {
    case "mail.deferred":
    case "mail.delivered":
    case "mail.bounced":
      return replyLine(event.payload);
    case "mail.reported":
      return event.payload.diagnostic;
    default:
      return undefined;
  }
}

/** What an event says besides the columns of its row. Details of the message itself stand in `messages`. */
function detailOf(event: MessageEvent): Record<string, unknown> {
  if (event.subject === "mail.accepted" || event.subject === "mail.submitted") {
    const { recipients, attachments, bodyBytes, scheduledAt } = event.payload;
    return defined({ recipients: recipients.length, attachments, bodyBytes, scheduledAt });
  }
  if (event.subject === "mail.scanned") {
    const { engine, durationMs } = event.payload;
    return { engine, durationMs };
  }
  if (event.subject === "mail.replied") {
    // The whole text stands in `replies`.
    const { from, subject, foundBy, text, rawId } = event.payload;
    return defined({ from, subject, foundBy, text: text.slice(0, previewCharsMax), rawId });
  }
  const named = new Set([
    "id",
    "at",
    "organizationId",
    "messageId",
    "deliveryId",
    "recipient",
    "traceparent",
  ]);
  const rest = Object.entries(event.payload).filter(
    ([name, value]) => !named.has(name) && value !== undefined,
  );
  return {
    ...Object.fromEntries(rest),
    ...(isReport(event) && event.payload.recipient !== unknownRecipient
      ? { reportedRecipient: event.payload.recipient }
      : {}),
  };
}

/** True for what another server tells later: the recipient that it names may be where an alias led. */
const isReport = (
  event: MessageEvent,
): event is Extract<MessageEvent, { subject: "mail.bounced" | "mail.reported" }> =>
  event.subject === "mail.reported" || (event.subject === "mail.bounced" && event.payload.source === "dsn");

/**
 * The first events of a message and the latest `timelineRowsMax` others, oldest first; `addresses` names the recipients
 * by delivery id.
 */
export async function timelineOf(
  ctx: QueryCtx,
  message: Pick<Doc<"messages">, "messageId" | "events">,
  addresses: ReadonlyMap<string, string>,
) {
  const held = (message.events ?? []).map(({ eventId, at, line }) => ({
    eventId,
    at,
    ...(JSON.parse(line) as Line),
  }));
  const rows = holdsAll(message) ? [] : await rowsOf(ctx, message.messageId);
  return [...held, ...rows]
    .sort((a, b) => a.at - b.at)
    .map(({ eventId, subject, at, deliveryId = "", recipient, reply, detail }) =>
      defined({ eventId, subject, at, recipient: addresses.get(deliveryId) ?? recipient, reply, detail }),
    );
}

const rowsOf = async (ctx: QueryCtx, messageId: string) =>
  (
    await ctx.db
      .query("timeline")
      .withIndex("by_messageId_at", (range) => range.eq("messageId", messageId))
      .order("desc")
      .take(timelineRowsMax)
  ).reverse();
