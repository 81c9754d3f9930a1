import { paginationOptsValidator, paginationResultValidator } from "convex/server";
import { v } from "convex/values";
import { userQuery } from "./functions.ts";
import { tlsFailure } from "./model/shapes.ts";
import {
  tlsDay,
  tlsDays,
  tlsDomain,
  tlsDomains,
  tlsFailures,
  tlsReportRow,
  tlsReportView,
} from "./model/tlsReports.ts";

const pageMax = 100;

/** Domains of ours that TLS reports came for, with sums of sessions since `sinceMs` (93 days at most), most failures first. */
export const domains = userQuery({
  args: { sinceMs: v.number() },
  returns: v.array(tlsDomain),
  handler: async (ctx, { sinceMs }) => await tlsDomains(ctx, sinceMs, Date.now()),
});

/** One domain day by day (UTC), oldest first; days without reports are left out. */
export const days = userQuery({
  args: { domain: v.string(), sinceMs: v.number() },
  returns: v.array(tlsDay),
  handler: async (ctx, { domain, sinceMs }) => await tlsDays(ctx, domain, sinceMs, Date.now()),
});

/** What went wrong at which server, the most frequent first, from the latest 500 reports. */
export const failures = userQuery({
  args: { domain: v.string(), sinceMs: v.number() },
  returns: v.array(tlsFailure),
  handler: async (ctx, { domain, sinceMs }) => await tlsFailures(ctx, domain, sinceMs, Date.now()),
});

/** The reports themselves, the latest first. */
export const list = userQuery({
  args: { domain: v.optional(v.string()), paginationOpts: paginationOptsValidator },
  returns: paginationResultValidator(tlsReportRow),
  handler: async (ctx, { domain, paginationOpts }) => {
    const table = ctx.db.query("tlsReports");
    const rows =
      domain === undefined
        ? table.withIndex("by_beginAt")
        : table.withIndex("by_domain_beginAt", (range) => range.eq("domain", domain));
    const numItems = Math.min(paginationOpts.numItems, pageMax);
    const found = await rows.order("desc").paginate({ ...paginationOpts, numItems });
    const page = await Promise.all(found.page.map((row) => tlsReportView(ctx, row)));
    return { ...found, page };
  },
});
