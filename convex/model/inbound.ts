/** Received mail: a row by the event, the raw message by an upload, in either order. */
import { type Payload, rawIdOf, shortened } from "@tyto/contracts";
import { v } from "convex/values";
import type { Doc, Id } from "../_generated/dataModel";
import type { MutationCtx, QueryCtx } from "../_generated/server";
import { defined } from "./defined.ts";
import { authentication, inboundKind } from "./shapes.ts";

/** False if it was received before. */
export async function receive(ctx: MutationCtx, event: Payload<"mail.received">): Promise<boolean> {
  const present = await ctx.db
    .query("inbound")
    .withIndex("by_inboundId", (range) => range.eq("inboundId", event.inboundId))
    .first();
  if (present !== null) return false;
  const { id, rawChunks: _parts, authentication, ...rest } = event;
  await ctx.db.insert("inbound", {
    ...defined({ ...rest, eventId: id }),
    authentication: defined(authentication),
  });
  return true;
}

/** A raw message that lies in file storage. */
export type RawFile = { rawId: string; storageId: Id<"_storage">; bytes: number };

/** Remembers the stored files of raw messages; a second file of the same message is thrown away. Returns how many are new. */
export async function keepRaws(ctx: MutationCtx, files: readonly RawFile[]): Promise<number> {
  let kept = 0;
  for (const file of files) {
    const present = await findRaw(ctx, file.rawId);
    if (present === null) {
      await ctx.db.insert("inboundFiles", file);
      kept += 1;
    } else if (present.storageId !== file.storageId) await ctx.storage.delete(file.storageId);
  }
  return kept;
}

/** `id`: of a raw message, or of one recipient's share in it. */
export const findRaw = (ctx: QueryCtx, id: string) =>
  ctx.db
    .query("inboundFiles")
    .withIndex("by_rawId", (range) => range.eq("rawId", rawIdOf(id)))
    .unique();

/** How the sender of a raw message was authenticated, by any recipient's share in it; absent until its event came. */
export async function authenticationOf(ctx: QueryCtx, rawId: string) {
  return (await shareOf(ctx, rawId))?.authentication;
}

const shareOf = (ctx: QueryCtx, id: string) =>
  ctx.db
    .query("inbound")
    .withIndex("by_inboundId", (range) => range.gte("inboundId", id).lt("inboundId", `${id}\u{10ffff}`))
    .first();

/** Where the message can be read as it came; whoever has the URL can read it. Absent until it was uploaded. */
export async function rawUrlOf(ctx: QueryCtx, id: string): Promise<string | undefined> {
  const raw = await findRaw(ctx, id);
  return raw === null ? undefined : ((await ctx.storage.getUrl(raw.storageId)) ?? undefined);
}

/** The id of a raw message if it is stored, for rows that lead to it. */
export async function storedRawId(ctx: QueryCtx, id: string | undefined): Promise<string | undefined> {
  return id === undefined ? undefined : (await findRaw(ctx, id))?.rawId;
}

/** One received message: of one recipient, or by the id of the raw message the first of them. Null if no event told of it. */
export async function findInbound(ctx: QueryCtx, id: string) {
  const row = await shareOf(ctx, id);
  return row === null ? null : await inboundView(ctx, row);
}

/** Characters of an answer that a list shows. */
const excerptCharsMax = 300;

/** The message that was answered, and the beginning of the answer. */
async function answerIn(
  ctx: QueryCtx,
  { kind, inboundId }: Doc<"inbound">,
): Promise<{ messageId?: string; text?: string }> {
  if (kind !== "reply") return {};
  const reply = await ctx.db
    .query("replies")
    .withIndex("by_rawId", (range) => range.eq("rawId", rawIdOf(inboundId)))
    .first();
  return reply === null ? {} : { messageId: reply.messageId, text: shortened(reply.text, excerptCharsMax) };
}

export async function inboundView(ctx: QueryCtx, row: Doc<"inbound">) {
  const rawUrl = await rawUrlOf(ctx, row.inboundId);
  const answer = await answerIn(ctx, row);
  const { inboundId, at, kind, why, envelopeFrom, envelopeTo, authentication, from, subject, deliveryId } =
    row;
  return defined({
    inboundId,
    at,
    kind,
    why,
    envelopeFrom,
    envelopeTo,
    authentication,
    from,
    subject,
    deliveryId,
    ...answer,
    rawUrl,
  });
}

export const inboundRow = v.object({
  inboundId: v.string(),
  at: v.number(),
  kind: inboundKind,
  /** Why it counts as `kind`; for `unclear`, what could not be understood. */
  why: v.optional(v.string()),
  envelopeFrom: v.string(),
  envelopeTo: v.string(),
  from: v.optional(v.string()),
  subject: v.optional(v.string()),
  deliveryId: v.optional(v.string()),
  /** For a reply: the message that it answers, and how it begins, without quoted history. */
  messageId: v.optional(v.string()),
  text: v.optional(v.string()),
  authentication,
  rawUrl: v.optional(v.string()),
});
