/**
 * What came back, was complained about or unsubscribed from: a row each, for lists, beside the counts of breakdowns.ts. A delivery
 * has one bounce at most.
 */
import { providerOf } from "@tyto/contracts";
import type { PaginationOptions } from "convex/server";
import { v } from "convex/values";
import type { Doc } from "../_generated/dataModel";
import type { MutationCtx, QueryCtx } from "../_generated/server";
import { defined } from "./defined.ts";
import { replyLine } from "./delivery.ts";
import { storedRawId } from "./inbound.ts";
import type { Failure, FailureKind } from "./shapes.ts";
import type { MessageEvent } from "./timeline.ts";

export const pageMax = 100;
const evidenceCharsMax = 1_000;

/**
 * The failure that an event tells of, if it tells of one. Who says "not spam" complains about nothing, and who opts out by a report
 * unsubscribes.
 */
export function failureIn(event: MessageEvent): Failure | undefined {
  const { at } = event.payload;
  switch (event.subject) {
    case "mail.bounced": {
      const { reason, hard, recipient, conversation, remoteMta } = event.payload;
      return {
        kind: "bounce",
        at,
        reason,
        hard,
        provider: providerOf(recipient, conversation?.mx ?? remoteMta),
      };
    }
    case "mail.complained": {
      const { feedback, reporter } = event.payload;
      if (feedback === "not-spam") return undefined;
      const provider = reporter === undefined ? "unknown" : providerOf(`@${reporter}`, reporter);
      return feedback === "opt-out"
        ? { kind: "unsubscribe", at, reason: "report", hard: true, provider }
        : { kind: "complaint", at, reason: feedback, hard: true, provider };
    }
    case "mail.unsubscribed":
      return { kind: "unsubscribe", at, reason: event.payload.method, hard: true, provider: "unknown" };
    default:
      return undefined;
  }
}

export async function addFailure(ctx: MutationCtx, { payload }: MessageEvent, failure: Failure) {
  const evidence =
    ("reply" in payload || "explanation" in payload ? replyLine(payload) : undefined) ??
    ("reporter" in payload ? payload.reporter : undefined);
  await ctx.db.insert(
    "failures",
    defined({
      ...failure,
      eventId: payload.id,
      messageId: payload.messageId,
      deliveryId: "deliveryId" in payload ? payload.deliveryId : undefined,
      evidence: evidence?.slice(0, evidenceCharsMax),
      rawId: "rawId" in payload ? payload.rawId : undefined,
    }),
  );
}

/** Removes the bounce of a delivery, for a better founded one to take its place. */
export async function takeBounce(ctx: MutationCtx, deliveryId: string): Promise<Failure | undefined> {
  const row = await ctx.db
    .query("failures")
    .withIndex("by_deliveryId_kind", (range) => range.eq("deliveryId", deliveryId).eq("kind", "bounce"))
    .first();
  if (row === null) return undefined;
  await ctx.db.delete(row._id);
  const { kind, at, reason, hard, provider } = row;
  return { kind, at, reason, hard, provider };
}

export const failureRow = v.object({
  eventId: v.string(),
  at: v.number(),
  messageId: v.string(),
  /** Whom we sent to; absent while nothing but the failure is known of the message. */
  recipient: v.optional(v.string()),
  reason: v.string(),
  hard: v.boolean(),
  provider: v.string(),
  domain: v.optional(v.string()),
  subject: v.optional(v.string()),
  evidence: v.optional(v.string()),
  rawId: v.optional(v.string()),
});

/** Newest first; by reason or by provider, or both (then a page may hold fewer rows than asked for). */
export async function pageOfFailures(
  ctx: QueryCtx,
  kind: FailureKind,
  { reason, provider }: { reason?: string; provider?: string },
  options: PaginationOptions,
) {
  const table = ctx.db.query("failures");
  const rows =
    reason !== undefined
      ? table.withIndex("by_kind_reason_at", (range) => range.eq("kind", kind).eq("reason", reason))
      : provider !== undefined
        ? table.withIndex("by_kind_provider_at", (range) => range.eq("kind", kind).eq("provider", provider))
        : table.withIndex("by_kind_at", (range) => range.eq("kind", kind));
  const found = await rows
    .order("desc")
    .paginate({ ...options, numItems: Math.min(options.numItems, pageMax) });
  const wanted = found.page.filter((row) => provider === undefined || row.provider === provider);
  return { ...found, page: await Promise.all(wanted.map((row) => failureView(ctx, row))) };
}

async function failureView(ctx: QueryCtx, row: Doc<"failures">) {
  const { eventId, at, messageId, reason, hard, provider, evidence, rawId } = row;
  const message = await ctx.db
    .query("messages")
    .withIndex("by_messageId", (range) => range.eq("messageId", messageId))
    .unique();
  // A complaint that names no delivery is about the only recipient, where there is only one.
  const deliveryId =
    row.deliveryId ?? (message?.details?.recipientCount === 1 ? `${messageId}-0` : undefined);
  const delivery =
    deliveryId === undefined
      ? null
      : await ctx.db
          .query("deliveries")
          .withIndex("by_deliveryId", (range) => range.eq("deliveryId", deliveryId))
          .unique();
  return defined({
    eventId,
    at,
    messageId,
    recipient: delivery?.isAddressSure === true ? delivery.address : undefined,
    reason,
    hard,
    provider,
    domain: message?.domain,
    subject: message?.details?.subject,
    evidence,
    rawId: await storedRawId(ctx, rawId),
  });
}
