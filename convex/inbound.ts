import { paginationOptsValidator, paginationResultValidator } from "convex/server";
import { v } from "convex/values";
import { breakdownQuery } from "./breakdownQuery.ts";
import { internalMutation, internalQuery, userQuery } from "./functions.ts";
import { findRaw, inboundRow, inboundView, keepRaw } from "./model/inbound.ts";
import { pageMax } from "./model/messages.ts";
import { inboundKind } from "./model/shapes.ts";

/**
 * Received mail, newest first; with `kind`, of one kind (`unclear` is what was not understood). `rawUrl` serves the message as it came; whoever has the
 * URL can read it.
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

/** What came in by kind (`reason`), sender's provider and our domain, over time. */
export const overTime = breakdownQuery("inbound");

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
