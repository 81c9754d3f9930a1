/** Reading messages: one with everything known of it, and lists by any filter, newest first. */
import type { MessageStatus } from "@tyto/contracts";
import type { PaginationOptions, PaginationResult } from "convex/server";
import { type Infer, v } from "convex/values";
import type { Doc } from "../_generated/dataModel";
import type { QueryCtx } from "../_generated/server";
import { defined } from "./defined.ts";
import { untouched } from "./delivery.ts";
import { deliveryStatus, standing } from "./message.ts";
import { isFound, readSearch, type Search } from "./search.ts";
import { details, messageStatus, reason, role } from "./shapes.ts";
import { timelineOf } from "./timeline.ts";

export const pageMax = 200;
const deliveriesMax = 1_000;
/** Rows looked at for one answer when a filter has no index of its own beside the one in use. */
const scanMax = 1_000;

export const messageFilter = {
  status: v.optional(messageStatus),
  recipient: v.optional(v.string()),
  tag: v.optional(v.string()),
  domain: v.optional(v.string()),
};
export type MessageFilter = { status?: MessageStatus; recipient?: string; tag?: string; domain?: string };

/** One line of a list. `from` and `subject` are empty while only later events of the message are known. */
export const messageRow = v.object({
  messageId: v.string(),
  from: v.string(),
  subject: v.string(),
  recipients: v.array(v.string()),
  recipientCount: v.number(),
  status: messageStatus,
  acceptedAt: v.number(),
  updatedAt: v.number(),
  scheduledAt: v.optional(v.number()),
  tags: v.array(v.string()),
  lastReply: v.optional(v.string()),
});

export const messageDetail = v.object({
  message: v.object({
    messageId: v.string(),
    organizationId: v.string(),
    status: messageStatus,
    acceptedAt: v.number(),
    updatedAt: v.number(),
    domain: v.optional(v.string()),
    lastReply: v.optional(v.string()),
    ...details.fields,
  }),
  deliveries: v.array(
    v.object({
      deliveryId: v.string(),
      address: v.string(),
      role,
      status: messageStatus,
      attempts: v.number(),
      reason: v.optional(reason),
      reply: v.optional(v.string()),
      nextAttemptAt: v.optional(v.number()),
      mx: v.optional(v.string()),
      updatedAt: v.number(),
    }),
  ),
  timeline: v.array(
    v.object({
      eventId: v.string(),
      subject: v.string(),
      at: v.number(),
      recipient: v.optional(v.string()),
      reply: v.optional(v.string()),
      detail: v.record(v.string(), v.any()),
    }),
  ),
});

/** What is shown of a message whose details have not come yet. */
const unknownDetails = {
  messageIdHeader: "",
  from: "",
  subject: "",
  preview: [],
  recipientCount: 0,
  bodyBytes: 0,
  attachments: 0,
  tags: [],
  metadata: {},
  expiresAt: 0,
};

export async function getMessage(
  ctx: QueryCtx,
  messageId: string,
): Promise<Infer<typeof messageDetail> | null> {
  const message = await findMessage(ctx, messageId);
  if (message === null) return null;
  const rows = await ctx.db
    .query("deliveries")
    .withIndex("by_messageId", (range) => range.eq("messageId", messageId))
    .take(deliveriesMax);
  const own = standing(message.marks, message.details?.scheduledAt);
  const { status, acceptedAt, updatedAt, domain, lastReply, organizationId } = message;
  return {
    message: {
      ...(message.details ?? { ...unknownDetails, recipientCount: message.deliveryCount }),
      ...defined({
        messageId,
        organizationId,
        status,
        acceptedAt,
        updatedAt,
        domain,
        lastReply: lastReply?.text,
      }),
    },
    deliveries: rows
      .sort((a, b) => positionOf(a.deliveryId) - positionOf(b.deliveryId))
      .map(({ deliveryId, address, role, state = message.only?.state ?? untouched(acceptedAt) }) =>
        defined({
          deliveryId,
          address,
          role: role ?? ("to" as const),
          status: deliveryStatus(state.outcome, own),
          attempts: state.attempts,
          updatedAt: state.updatedAt,
          reason: state.reason,
          reply: state.reply,
          mx: state.mx,
          nextAttemptAt: state.nextAttemptAt,
        }),
      ),
    timeline: await timelineOf(
      ctx,
      message,
      new Map(rows.map(({ deliveryId, address }) => [deliveryId, address])),
    ),
  };
}

const positionOf = (deliveryId: string) => Number(deliveryId.slice(deliveryId.lastIndexOf("-") + 1));

/** Rows that one page of a search by words or domain looks at: they have no index, so that recording costs nothing more. */
const searchedRows = pageMax;

/**
 * A page for people who search, live. Beginnings of addresses come by address, the newest first for each, and a message for
 * two such addresses comes twice; everything else is looked for in the newest messages, so that a page may be empty.
 */
export async function pageOfSearch(
  ctx: QueryCtx,
  filter: MessageFilter,
  text: string,
  options: PaginationOptions,
): Promise<PaginationResult<ReturnType<typeof rowOf>>> {
  const search = readSearch(text);
  if (search.by !== "address") {
    const found = await newestFirst(ctx, filter, undefined).paginate({ ...options, numItems: searchedRows });
    const messages = await messagesOf(ctx, found.page, filter);
    return { ...found, page: messages.map(rowOf).filter((row) => isFound(search, row)) };
  }
  const found = await deliveriesTo(ctx, search).paginate({
    ...options,
    numItems: Math.min(options.numItems, pageMax),
  });
  return { ...found, page: (await messagesOf(ctx, found.page, filter)).map(rowOf) };
}

const deliveriesTo = (ctx: QueryCtx, { beginning }: Extract<Search, { by: "address" }>) =>
  ctx.db
    .query("deliveries")
    .withIndex("by_addressKey_messageId", (range) =>
      range.gte("addressKey", beginning).lt("addressKey", `${beginning}\u{10ffff}`),
    )
    .order("desc");

/**
 * A page for people, live: it grows when rows come instead of letting them fall between two pages. With a tag or a
 * recipient and a further filter that its index lacks, a page may hold fewer rows than asked for.
 */
export async function pageOfMessages(
  ctx: QueryCtx,
  filter: MessageFilter,
  options: PaginationOptions,
): Promise<PaginationResult<ReturnType<typeof rowOf>>> {
  const bounded = { ...options, numItems: Math.min(options.numItems, pageMax) };
  const found = await newestFirst(ctx, filter, undefined).paginate(bounded);
  return { ...found, page: (await messagesOf(ctx, found.page, filter)).map(rowOf) };
}

/** A page for programs: the cursor is the last message id of the page before and stays valid for ever. */
export async function listMessages(
  ctx: QueryCtx,
  filter: MessageFilter,
  cursor: string | null,
  limit: number,
): Promise<{ page: ReturnType<typeof rowOf>[]; cursor: string | null }> {
  const wanted = Math.max(1, Math.min(limit, pageMax));
  const page: Doc<"messages">[] = [];
  let before = cursor ?? undefined;
  for (let looked = 0; looked < scanMax; looked += wanted) {
    const rows = await newestFirst(ctx, filter, before).take(wanted);
    for (const message of await messagesOf(ctx, rows, filter)) {
      page.push(message);
      if (page.length === wanted) return { page: page.map(rowOf), cursor: message.messageId };
    }
    before = rows.at(-1)?.messageId ?? before;
    if (rows.length < wanted) return { page: page.map(rowOf), cursor: null };
  }
  return { page: page.map(rowOf), cursor: before ?? null };
}

type Listed = { messageId: string };

/** Rows of the index that serves the filter best: recipient, then tag, then the message's own fields. */
function newestFirst(ctx: QueryCtx, filter: MessageFilter, before: string | undefined) {
  const { status, tag, domain } = filter;
  const recipient = filter.recipient?.toLowerCase();
  // Sorts after every id: ids are lower-case letters and digits.
  const end = before ?? "~";
  if (recipient !== undefined)
    return ctx.db
      .query("deliveries")
      .withIndex("by_addressKey_messageId", (range) => range.eq("addressKey", recipient).lt("messageId", end))
      .order("desc");
  if (tag !== undefined)
    return status === undefined
      ? ctx.db
          .query("messageTags")
          .withIndex("by_tag_messageId", (range) => range.eq("tag", tag).lt("messageId", end))
          .order("desc")
      : ctx.db
          .query("messageTags")
          .withIndex("by_tag_status_messageId", (range) =>
            range.eq("tag", tag).eq("status", status).lt("messageId", end),
          )
          .order("desc");
  const messages = ctx.db.query("messages");
  if (domain !== undefined && status !== undefined)
    return messages
      .withIndex("by_domain_status_messageId", (range) =>
        range.eq("domain", domain).eq("status", status).lt("messageId", end),
      )
      .order("desc");
  if (domain !== undefined)
    return messages
      .withIndex("by_domain_messageId", (range) => range.eq("domain", domain).lt("messageId", end))
      .order("desc");
  if (status !== undefined)
    return messages
      .withIndex("by_status_messageId", (range) => range.eq("status", status).lt("messageId", end))
      .order("desc");
  return messages.withIndex("by_messageId", (range) => range.lt("messageId", end)).order("desc");
}

/** The messages that rows of an index stand for, without repeats, and only those that pass the whole filter. */
async function messagesOf(ctx: QueryCtx, rows: readonly Listed[], filter: MessageFilter) {
  const messages: Doc<"messages">[] = [];
  const seen = new Set<string>();
  for (const row of rows) {
    if (seen.has(row.messageId)) continue;
    seen.add(row.messageId);
    const message = "tally" in row ? (row as Doc<"messages">) : await findMessage(ctx, row.messageId);
    if (message !== null && passes(message, filter)) messages.push(message);
  }
  return messages;
}

const passes = (message: Doc<"messages">, { status, tag, domain }: MessageFilter) =>
  (status === undefined || message.status === status) &&
  (domain === undefined || message.domain === domain) &&
  (tag === undefined || (message.details?.tags.includes(tag) ?? false));

const findMessage = (ctx: QueryCtx, messageId: string) =>
  ctx.db
    .query("messages")
    .withIndex("by_messageId", (range) => range.eq("messageId", messageId))
    .unique();

function rowOf(message: Doc<"messages">) {
  const { messageId, status, acceptedAt, updatedAt, lastReply, deliveryCount } = message;
  const known = message.details ?? unknownDetails;
  return defined({
    messageId,
    from: known.from,
    subject: known.subject,
    recipients: [...known.preview],
    recipientCount: deliveryCount,
    status,
    acceptedAt,
    updatedAt,
    scheduledAt: message.details?.scheduledAt,
    tags: [...known.tags],
    lastReply: lastReply?.text,
  });
}
