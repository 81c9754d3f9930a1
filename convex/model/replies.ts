/** What people answered to mail of ours. */
import type { Payload } from "@tyto/contracts";
import { v } from "convex/values";
import type { Doc } from "../_generated/dataModel";
import type { MutationCtx, QueryCtx } from "../_generated/server";
import { defined } from "./defined.ts";
import { storedRawId } from "./inbound.ts";
import { authentication } from "./shapes.ts";

export const pageMax = 100;

export async function addReply(
  ctx: MutationCtx,
  { id, authentication, ...reply }: Payload<"mail.replied">,
): Promise<void> {
  await ctx.db.insert("replies", {
    ...defined({ ...reply, eventId: id }),
    authentication: defined(authentication),
  });
}

export const replyRow = v.object({
  eventId: v.string(),
  at: v.number(),
  messageId: v.string(),
  from: v.string(),
  envelopeTo: v.string(),
  subject: v.optional(v.string()),
  /** Without quoted history and signature. */
  text: v.string(),
  authentication,
  rawId: v.optional(v.string()),
});

export async function replyView(ctx: QueryCtx, row: Doc<"replies">) {
  const { eventId, at, messageId, from, envelopeTo, subject, text, authentication } = row;
  const rawId = await storedRawId(ctx, row.rawId);
  return defined({ eventId, at, messageId, from, envelopeTo, subject, text, authentication, rawId });
}
