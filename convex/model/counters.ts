/**
 * Counts that many writers touch and few read: spread over shards, summed when read. Counted are events as they are
 * applied, at the minute in which they happened, so that their order does not matter. What is taken back may be taken from
 * another shard than it was added to: only sums mean something.
 */
import type { MutationCtx, QueryCtx } from "../_generated/server";
import { dayMs, floorTo, hourMs, minuteMs } from "./periods.ts";

/** Batches in flight at once are at most about as many; more shards only make reading dearer. */
export const counterShards = 4;
export const minutesKeptDays = 3;
export const hoursKeptDays = 400;

export type Counts = { accepted: number; delivered: number; bounced: number; deferred: number };
export type Counted = keyof Counts;
export const noCounts = (): Counts => ({ accepted: 0, delivered: 0, bounced: 0, deferred: 0 });

const periodMs = { minute: minuteMs, hour: hourMs } as const;
type Period = keyof typeof periodMs;
const minuteRangeMsMax = dayMs;
const hourRangeMsMax = 31 * dayMs;
const bucketsMax = 1_440;

const anyShard = () => Math.floor(Math.random() * counterShards);

/** Adds counts per minute (`at` is any time inside it) to the rows of one shard. */
export async function addCounts(ctx: MutationCtx, perMinute: ReadonlyMap<number, Counts>): Promise<void> {
  const shard = anyShard();
  for (const period of ["minute", "hour"] as const) {
    const sums = new Map<number, Counts>();
    for (const [at, counts] of perMinute) {
      const start = floorTo(at, periodMs[period]);
      sums.set(start, plus(sums.get(start) ?? noCounts(), counts));
    }
    for (const [at, counts] of sums) {
      const row = await ctx.db
        .query("counters")
        .withIndex("by_period_at_shard", (range) =>
          range.eq("period", period).eq("at", at).eq("shard", shard),
        )
        .unique();
      if (row === null) await ctx.db.insert("counters", { period, at, shard, ...counts });
      else await ctx.db.patch(row._id, plus(row, counts));
    }
  }
}

export async function addTotal(ctx: MutationCtx, name: "messages" | "suppressions", add: number) {
  if (add === 0) return;
  const shard = anyShard();
  const row = await ctx.db
    .query("totals")
    .withIndex("by_name_shard", (range) => range.eq("name", name).eq("shard", shard))
    .unique();
  if (row === null) await ctx.db.insert("totals", { name, shard, count: add });
  else await ctx.db.patch(row._id, { count: row.count + add });
}

export async function readTotal(ctx: QueryCtx, name: "messages" | "suppressions"): Promise<number> {
  const rows = await ctx.db
    .query("totals")
    .withIndex("by_name_shard", (range) => range.eq("name", name))
    .take(counterShards);
  return rows.reduce((sum, row) => sum + row.count, 0);
}

/**
 * Counts in buckets of `bucketMs` from `sinceMs` to the latest, empty ones left out. Minutes serve a range of a day
 * and buckets below an hour; everything else is rounded to whole hours and cut to 31 days.
 */
export async function throughput(ctx: QueryCtx, sinceMs: number, bucketMs: number, nowMs: number) {
  const fine = nowMs - sinceMs <= minuteRangeMsMax && bucketMs < periodMs.hour;
  const period: Period = fine ? "minute" : "hour";
  const rangeMs = fine ? minuteRangeMsMax : hourRangeMsMax;
  const start = floorTo(Math.max(sinceMs, nowMs - rangeMs), periodMs[period]);
  const step = Math.max(periodMs[period], floorTo(bucketMs, periodMs[period]));
  const buckets = new Map<number, Counts>();
  const totals = noCounts();
  const rows = await countsSince(ctx, period, start);
  for (const row of rows) {
    const at = floorTo(row.at, step);
    buckets.set(at, plus(buckets.get(at) ?? noCounts(), row));
    Object.assign(totals, plus(totals, row));
  }
  return {
    buckets: [...buckets]
      // A bounce that is known better now was moved to another minute, and may have been the only one in its own.
      .filter(([, counts]) => Object.values(counts).some((count) => count !== 0))
      .sort(([a], [b]) => a - b)
      .slice(-bucketsMax)
      .map(([at, counts]) => ({ at, ...counts })),
    totals,
  };
}

/** Sums of the last 24 hours, by whole hours. */
export async function lastDay(ctx: QueryCtx, nowMs: number): Promise<Counts> {
  const rows = await countsSince(ctx, "hour", floorTo(nowMs - dayMs, periodMs.hour));
  return rows.reduce<Counts>(plus, noCounts());
}

async function countsSince(ctx: QueryCtx, period: Period, at: number) {
  const rangeMs = period === "minute" ? minuteRangeMsMax : hourRangeMsMax;
  // Twice the range leaves room for events whose clock runs ahead of ours.
  const rowsMax = 2 * counterShards * Math.ceil(rangeMs / periodMs[period]);
  return await ctx.db
    .query("counters")
    .withIndex("by_period_at_shard", (range) => range.eq("period", period).gte("at", at))
    .take(rowsMax);
}

const plus = (a: Counts, b: Counts): Counts => ({
  accepted: a.accepted + b.accepted,
  delivered: a.delivered + b.delivered,
  bounced: a.bounced + b.bounced,
  deferred: a.deferred + b.deferred,
});
