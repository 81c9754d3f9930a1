import { paginationOptsValidator, paginationResultValidator } from "convex/server";
import { v } from "convex/values";
import { userQuery } from "./functions.ts";
import { pageMax, suppressionRow, suppressionView } from "./model/suppressions.ts";

/** Suppressed addresses, newest first; with `search`, those that begin with it, by address. */
export const list = userQuery({
  args: { search: v.optional(v.string()), paginationOpts: paginationOptsValidator },
  returns: paginationResultValidator(suppressionRow),
  handler: async (ctx, { search, paginationOpts }) => {
    const prefix = search?.trim().toLowerCase() ?? "";
    const table = ctx.db.query("suppressions");
    const rows =
      prefix === ""
        ? table.order("desc")
        : table.withIndex("by_addressKey", (range) =>
            range.gte("addressKey", prefix).lt("addressKey", `${prefix}\u{10ffff}`),
          );
    const numItems = Math.min(paginationOpts.numItems, pageMax);
    const found = await rows.paginate({ ...paginationOpts, numItems });
    return { ...found, page: found.page.map(suppressionView) };
  },
});
