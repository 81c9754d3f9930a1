/** Removes what is old enough, in bounded batches: each run takes one batch of a table and asks for another while full. */

import { v } from "convex/values";
import { literals } from "convex-helpers/validators";
import { internal } from "./_generated/api";
import type { MutationCtx } from "./_generated/server";
import { internalMutation } from "./functions.ts";
import { breakdownHoursKeptDays } from "./model/breakdowns.ts";
import { changesKeptDays } from "./model/changes.ts";
import { hoursKeptDays, minutesKeptDays } from "./model/counters.ts";
import { reportDaysKept } from "./model/dmarcReports.ts";
import { dayMs } from "./model/periods.ts";

/** Mail, its timeline, received mail with its files, and reports. Above the 14 days in which an event can still come again. */
export const mailDaysMax = 90;
const batchMax = 500;
const breakdownBatchMax = 100;

const mailTables = [
  "timeline",
  "deliveries",
  "messageTags",
  "messages",
  "failures",
  "replies",
  "inbound",
  "dmarcReports",
  "dmarcSources",
  "tlsReports",
  "holds",
  "quarantines",
] as const;
const chore = literals(
  ...mailTables,
  "inboundFiles",
  "changes",
  "minutes",
  "hours",
  "breakdownHours",
  "breakdownDays",
  "dmarcDays",
  "tlsDays",
  "sessions",
  "verifications",
);

/** Removes at most `batchMax` rows of one kind, and runs again at once if there were that many. */
export const sweep = internalMutation({
  args: { chore },
  returns: v.number(),
  handler: async (ctx, { chore }) => {
    const removed = await removeOld(ctx, chore, Date.now());
    if (removed === batchMax) await ctx.scheduler.runAfter(0, internal.retention.sweep, { chore });
    return removed;
  },
});

/** Starts every chore. */
export const sweepAll = internalMutation({
  args: {},
  returns: v.null(),
  handler: async (ctx) => {
    for (const { value } of chore.members)
      await ctx.scheduler.runAfter(0, internal.retention.sweep, { chore: value });
    return null;
  },
});

async function removeOld(ctx: MutationCtx, kind: typeof chore.type, nowMs: number): Promise<number> {
  const before = (days: number) => nowMs - days * dayMs;
  switch (kind) {
    case "changes": {
      const rows = await ctx.db
        .query("changes")
        .withIndex("by_creation_time", (range) => range.lt("_creationTime", before(changesKeptDays)))
        .take(batchMax);
      for (const row of rows) await ctx.db.delete(row._id);
      return rows.length;
    }
    case "minutes":
    case "hours": {
      const [period, days] =
        kind === "minutes" ? (["minute", minutesKeptDays] as const) : (["hour", hoursKeptDays] as const);
      const rows = await ctx.db
        .query("counters")
        .withIndex("by_period_at_shard", (range) => range.eq("period", period).lt("at", before(days)))
        .take(batchMax);
      for (const row of rows) await ctx.db.delete(row._id);
      return rows.length;
    }
    case "breakdownHours":
    case "breakdownDays": {
      const [period, days] =
        kind === "breakdownHours"
          ? (["hour", breakdownHoursKeptDays] as const)
          : (["day", hoursKeptDays] as const);
      const rows = await ctx.db
        .query("breakdowns")
        .withIndex("by_period_at_shard", (range) => range.eq("period", period).lt("at", before(days)))
        .take(breakdownBatchMax);
      for (const row of rows) await ctx.db.delete(row._id);
      // They are large: what is left goes with the next hour.
      return 0;
    }
    case "dmarcDays":
    case "tlsDays": {
      const rows = await ctx.db
        .query(kind)
        .withIndex("by_day", (range) => range.lt("day", before(reportDaysKept)))
        .take(batchMax);
      for (const row of rows) await ctx.db.delete(row._id);
      return rows.length;
    }
    case "sessions":
    case "verifications": {
      const rows = await ctx.db
        .query(kind)
        .withIndex("by_expiresAt", (range) => range.lt("expiresAt", nowMs))
        .take(batchMax);
      for (const row of rows) await ctx.db.delete(row._id);
      return rows.length;
    }
    case "inboundFiles": {
      const rows = await ctx.db
        .query("inboundFiles")
        .withIndex("by_creation_time", (range) => range.lt("_creationTime", before(mailDaysMax)))
        .take(batchMax);
      for (const row of rows) {
        await ctx.storage.delete(row.storageId);
        await ctx.db.delete(row._id);
      }
      return rows.length;
    }
    default: {
      const rows = await ctx.db
        .query(kind)
        .withIndex("by_creation_time", (range) => range.lt("_creationTime", before(mailDaysMax)))
        .take(batchMax);
      for (const row of rows) await ctx.db.delete(row._id);
      return rows.length;
    }
  }
}
