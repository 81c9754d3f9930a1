/** Received mail: a row by the event, the raw message by an upload, in either order. */
import type { Payload } from "@tyto/contracts";
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

/** Remembers the stored file of a raw message; a second upload of the same one is thrown away. Returns the file that counts. */
export async function keepRaw(
  ctx: MutationCtx,
  inboundId: string,
  storageId: Id<"_storage">,
  bytes: number,
): Promise<Id<"_storage">> {
  const present = await findRaw(ctx, inboundId);
  if (present === null) {
    await ctx.db.insert("inboundFiles", { inboundId, storageId, bytes });
    return storageId;
  }
  await ctx.storage.delete(storageId);
  return present.storageId;
}

export const findRaw = (ctx: QueryCtx, inboundId: string) =>
  ctx.db
    .query("inboundFiles")
    .withIndex("by_inboundId", (range) => range.eq("inboundId", inboundId))
    .unique();

/** Where the message can be read as it came; whoever has the URL can read it. Absent until it was uploaded. */
export async function rawUrlOf(ctx: QueryCtx, inboundId: string): Promise<string | undefined> {
  const raw = await findRaw(ctx, inboundId);
  return raw === null ? undefined : ((await ctx.storage.getUrl(raw.storageId)) ?? undefined);
}

export async function inboundView(ctx: QueryCtx, row: Doc<"inbound">) {
  const rawUrl = await rawUrlOf(ctx, row.inboundId);
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
  authentication,
  rawUrl: v.optional(v.string()),
});
