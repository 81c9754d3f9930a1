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
/** These rows are large. As a batch is never full with them, what is left goes with the next hour. */
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
  const rows = await oldRows(ctx, kind, nowMs);
  for (const row of rows) {
    if (kind === "inboundFiles" && "storageId" in row) await ctx.storage.delete(row.storageId);
    await ctx.db.delete(row._id);
  }
  return rows.length;
}

/** The oldest rows of one kind that are to go, at most a batch. */
function oldRows({ db }: MutationCtx, kind: typeof chore.type, nowMs: number) {
  const before = (days: number) => nowMs - days * dayMs;
  switch (kind) {
    case "minutes":
    case "hours": {
      const [period, days] =
        kind === "minutes" ? (["minute", minutesKeptDays] as const) : (["hour", hoursKeptDays] as const);
      return db
        .query("counters")
        .withIndex("by_period_at_shard", (range) => range.eq("period", period).lt("at", before(days)))
        .take(batchMax);
    }
    case "breakdownHours":
    case "breakdownDays": {
      const [period, days] =
        kind === "breakdownHours"
          ? (["hour", breakdownHoursKeptDays] as const)
          : (["day", hoursKeptDays] as const);
      return db
        .query("breakdowns")
        .withIndex("by_period_at_shard", (range) => range.eq("period", period).lt("at", before(days)))
        .take(breakdownBatchMax);
    }
    case "dmarcDays":
    case "tlsDays":
      return db
        .query(kind)
        .withIndex("by_day", (range) => range.lt("day", before(reportDaysKept)))
        .take(batchMax);
    case "sessions":
    case "verifications":
      return db
        .query(kind)
        .withIndex("by_expiresAt", (range) => range.lt("expiresAt", nowMs))
        .take(batchMax);
    default: {
      const days = kind === "changes" ? changesKeptDays : mailDaysMax;
      return db
        .query(kind)
        .withIndex("by_creation_time", (range) => range.lt("_creationTime", before(days)))
        .take(batchMax);
    }
  }
}
