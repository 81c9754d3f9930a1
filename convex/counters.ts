import { v } from "convex/values";
import { userQuery } from "./functions.ts";
import { apiKeysMax } from "./model/apiKeys.ts";
import { lastDay, throughput as readThroughput, readTotal } from "./model/counters.ts";
import { domainsMax } from "./model/domains.ts";

const counts = { accepted: v.number(), delivered: v.number(), bounced: v.number(), deferred: v.number() };

/** Recipients accepted, and attempts by their end, in buckets of `bucketMs`; empty buckets are left out. */
export const throughput = userQuery({
  args: { sinceMs: v.number(), bucketMs: v.number() },
  returns: v.object({
    buckets: v.array(v.object({ at: v.number(), ...counts })),
    totals: v.object(counts),
  }),
  handler: async (ctx, { sinceMs, bucketMs }) => await readThroughput(ctx, sinceMs, bucketMs, Date.now()),
});

/** What exists so far, from which the dashboard tells what to do next. */
export const overview = userQuery({
  args: {},
  returns: v.object({
    messages: v.number(),
    domains: v.number(),
    verifiedDomains: v.number(),
    apiKeys: v.number(),
    suppressions: v.number(),
    delivered24h: v.number(),
    bounced24h: v.number(),
  }),
  handler: async (ctx) => {
    const domains = await ctx.db.query("domains").take(domainsMax);
    const apiKeys = await ctx.db.query("apiKeys").take(apiKeysMax);
    const day = await lastDay(ctx, Date.now());
    return {
      messages: await readTotal(ctx, "messages"),
      domains: domains.length,
      verifiedDomains: domains.filter(({ state }) => state === "verified").length,
      apiKeys: apiKeys.length,
      suppressions: await readTotal(ctx, "suppressions"),
      delivered24h: day.delivered,
      bounced24h: day.bounced,
    };
  },
});
