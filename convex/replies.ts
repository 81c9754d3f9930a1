import { paginationOptsValidator, paginationResultValidator } from "convex/server";
import { v } from "convex/values";
import { userQuery } from "./functions.ts";
import { pageMax, replyRow, replyView } from "./model/replies.ts";

/** What people answered, newest first; to one message, or to all. */
export const list = userQuery({
  args: { messageId: v.optional(v.string()), paginationOpts: paginationOptsValidator },
  returns: paginationResultValidator(replyRow),
  handler: async (ctx, { messageId, paginationOpts }) => {
    const table = ctx.db.query("replies");
    const rows =
      messageId === undefined
        ? table.withIndex("by_at")
        : table.withIndex("by_messageId_at", (range) => range.eq("messageId", messageId));
    const numItems = Math.min(paginationOpts.numItems, pageMax);
    const found = await rows.order("desc").paginate({ ...paginationOpts, numItems });
    return { ...found, page: await Promise.all(found.page.map((row) => replyView(ctx, row))) };
  },
});
