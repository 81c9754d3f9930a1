import { paginationOptsValidator, paginationResultValidator } from "convex/server";
import { v } from "convex/values";
import { nullable } from "convex-helpers/validators";
import { breakdownQuery } from "./breakdownQuery.ts";
import { internalMutation, internalQuery, userQuery } from "./functions.ts";
import { findInbound, findRaw, inboundRow, inboundView, keepRaws } from "./model/inbound.ts";
import { pageMax } from "./model/messages.ts";
import { inboundKind } from "./model/shapes.ts";

/**
 * Received mail, newest first; with `kind`, of one kind (`unclear` is what was not understood). `rawUrl` serves the message
 * as it came; whoever has the URL can read it.
 */
export const list = userQuery({
  args: { kind: v.optional(inboundKind), paginationOpts: paginationOptsValidator },
  returns: paginationResultValidator(inboundRow),
  handler: async (ctx, { kind, paginationOpts }) => {
    const numItems = Math.min(paginationOpts.numItems, pageMax);
    const table = ctx.db.query("inbound");
    const rows =
      kind === undefined
        ? table.withIndex("by_at")
        : table.withIndex("by_kind_at", (range) => range.eq("kind", kind));
    const found = await rows.order("desc").paginate({ ...paginationOpts, numItems });
    return { ...found, page: await Promise.all(found.page.map((row) => inboundView(ctx, row))) };
  },
});

/** One received message, by its id or by that of the raw message; null if it is not known. */
export const get = userQuery({
  args: { inboundId: v.string() },
  returns: nullable(inboundRow),
  handler: async (ctx, { inboundId }) => await findInbound(ctx, inboundId),
});

/** What came in by kind (`reason`), sender's provider and our domain, over time. */
export const overTime = breakdownQuery("inbound");

const rawFile = { rawId: v.string(), storageId: v.id("_storage"), bytes: v.number() };

/** Which of these raw messages are stored already, for POST /inbound. */
export const storedRaws = internalQuery({
  args: { rawIds: v.array(v.string()) },
  returns: v.array(v.string()),
  handler: async (ctx, { rawIds }) => {
    const found = await Promise.all(rawIds.map(async (rawId) => await findRaw(ctx, rawId)));
    return found.flatMap((file) => (file === null ? [] : [file.rawId]));
  },
});

/** Links files to raw messages, for POST /inbound. Returns how many are new. */
export const keepRawFiles = internalMutation({
  args: { files: v.array(v.object(rawFile)) },
  returns: v.number(),
  handler: async (ctx, { files }) => await keepRaws(ctx, files),
});

/** Where a raw message that is too large for a request is uploaded to, for POST /inbound/upload. */
export const uploadUrl = internalMutation({
  args: {},
  returns: v.string(),
  handler: async (ctx) => await ctx.storage.generateUploadUrl(),
});

/** Links an uploaded file to its raw message. False if there is no such file, or if it is not whole. */
export const keepUpload = internalMutation({
  args: { rawId: v.string(), storageId: v.string(), bytes: v.number() },
  returns: v.boolean(),
  handler: async (ctx, { rawId, storageId, bytes }) => {
    const id = ctx.db.system.normalizeId("_storage", storageId);
    const file = id === null ? null : await ctx.db.system.get(id);
    if (file === null) return false;
    if (file.size !== bytes) {
      await ctx.storage.delete(file._id);
      return false;
    }
    await keepRaws(ctx, [{ rawId, storageId: file._id, bytes }]);
    return true;
  },
});
