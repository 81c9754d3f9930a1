import { v } from "convex/values";
import { nullable } from "convex-helpers/validators";
import { userQuery } from "./functions.ts";
import { domainRow, domainsMax, domainView, findDomain } from "./model/domains.ts";

/** Signing domains by name. */
export const list = userQuery({
  args: {},
  returns: v.array(domainRow),
  handler: async (ctx) =>
    (await ctx.db.query("domains").withIndex("by_domain").take(domainsMax)).map(domainView),
});

export const get = userQuery({
  args: { domain: v.string() },
  returns: nullable(domainRow),
  handler: async (ctx, { domain }) => {
    const row = await findDomain(ctx, domain);
    return row === null ? null : domainView(row);
  },
});
