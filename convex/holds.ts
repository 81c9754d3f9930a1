import { paginationOptsValidator, paginationResultValidator } from "convex/server";
import { userQuery } from "./functions.ts";
import { holdRow, holdView } from "./model/holds.ts";

const pageMax = 100;

/** Holds of sending, those that began last first: with `releasedAt` they are over. */
export const list = userQuery({
  args: { paginationOpts: paginationOptsValidator },
  returns: paginationResultValidator(holdRow),
  handler: async (ctx, { paginationOpts }) => {
    const numItems = Math.min(paginationOpts.numItems, pageMax);
    const found = await ctx.db
      .query("holds")
      .withIndex("by_heldAt")
      .order("desc")
      .paginate({ ...paginationOpts, numItems });
    return { ...found, page: found.page.map(holdView) };
  },
});
