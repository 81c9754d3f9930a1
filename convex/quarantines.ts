import { paginationOptsValidator, paginationResultValidator } from "convex/server";
import { userQuery } from "./functions.ts";
import { quarantineRow, quarantineView } from "./model/quarantines.ts";

const pageMax = 100;

/** When addresses of ours were out of their pools, the last first; without `releasedAt` they still are. */
export const list = userQuery({
  args: { paginationOpts: paginationOptsValidator },
  returns: paginationResultValidator(quarantineRow),
  handler: async (ctx, { paginationOpts }) => {
    const numItems = Math.min(paginationOpts.numItems, pageMax);
    const found = await ctx.db
      .query("quarantines")
      .withIndex("by_quarantinedAt")
      .order("desc")
      .paginate({ ...paginationOpts, numItems });
    return { ...found, page: found.page.map(quarantineView) };
  },
});
