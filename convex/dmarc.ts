import { paginationOptsValidator, paginationResultValidator } from "convex/server";
import { v } from "convex/values";
import { userQuery } from "./functions.ts";
import {
  dmarcDay,
  dmarcDays,
  dmarcDomain,
  dmarcDomains,
  dmarcReportRow,
  dmarcReportView,
  dmarcSource,
  dmarcSources,
} from "./model/dmarcReports.ts";

const pageMax = 100;

/** Domains of ours that DMARC reports came for, with sums since `sinceMs` (93 days at most), the busiest first. */
export const domains = userQuery({
  args: { sinceMs: v.number() },
  returns: v.array(dmarcDomain),
  handler: async (ctx, { sinceMs }) => await dmarcDomains(ctx, sinceMs, Date.now()),
});

/** One domain day by day (UTC), oldest first; days without reports are left out. */
export const days = userQuery({
  args: { domain: v.string(), sinceMs: v.number() },
  returns: v.array(dmarcDay),
  handler: async (ctx, { domain, sinceMs }) => await dmarcDays(ctx, domain, sinceMs, Date.now()),
});

/** Addresses that sent in the name of a domain, the busiest first; `other` where there were too many to tell apart. */
export const sources = userQuery({
  args: { domain: v.string(), sinceMs: v.number() },
  returns: v.object({ sources: v.array(dmarcSource), isPartial: v.boolean() }),
  handler: async (ctx, { domain, sinceMs }) => await dmarcSources(ctx, domain, sinceMs, Date.now()),
});

/** The reports themselves, the latest first. */
export const reports = userQuery({
  args: { domain: v.string(), paginationOpts: paginationOptsValidator },
  returns: paginationResultValidator(dmarcReportRow),
  handler: async (ctx, { domain, paginationOpts }) => {
    const found = await ctx.db
      .query("dmarcReports")
      .withIndex("by_domain_beginAt", (range) => range.eq("domain", domain))
      .order("desc")
      .paginate({ ...paginationOpts, numItems: Math.min(paginationOpts.numItems, pageMax) });
    const page = await Promise.all(found.page.map((row) => dmarcReportView(ctx, row)));
    return { ...found, page };
  },
});
