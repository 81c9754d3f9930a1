import { paginationOptsValidator, paginationResultValidator } from "convex/server";
import { v } from "convex/values";
import { internalMutation, internalQuery, userQuery } from "./functions.ts";
import { findRaw, inboundRow, inboundView, keepRaw } from "./model/inbound.ts";
import { pageMax } from "./model/messages.ts";

/** Received mail, newest first. `rawUrl` serves the message as it came; whoever has the URL can read it. */
export const list = userQuery({
  args: { paginationOpts: paginationOptsValidator },
  returns: paginationResultValidator(inboundRow),
  handler: async (ctx, { paginationOpts }) => {
    const numItems = Math.min(paginationOpts.numItems, pageMax);
    const found = await ctx.db
      .query("inbound")
      .withIndex("by_at")
      .order("desc")
      .paginate({ ...paginationOpts, numItems });
    return { ...found, page: await Promise.all(found.page.map((row) => inboundView(ctx, row))) };
  },
});

/** The stored file of a raw message, for POST /inbound. */
export const rawFile = internalQuery({
  args: { inboundId: v.string() },
  returns: v.union(v.id("_storage"), v.null()),
  handler: async (ctx, { inboundId }) => (await findRaw(ctx, inboundId))?.storageId ?? null,
});

/** Links a file to a raw message, for POST /inbound. */
export const keepRawFile = internalMutation({
  args: { inboundId: v.string(), storageId: v.id("_storage"), bytes: v.number() },
  returns: v.id("_storage"),
  handler: async (ctx, { inboundId, storageId, bytes }) => await keepRaw(ctx, inboundId, storageId, bytes),
});
