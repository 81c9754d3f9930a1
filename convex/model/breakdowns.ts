/**
 * What failed and what came in, counted by reason, provider and domain together: one row per hour and per day holds
 * a cell for each combination that happened, so that a chart can ask for any of them and reads few rows.
 */
import type { MutationCtx, QueryCtx } from "../_generated/server";
import { dayMs, daysMax, floorTo, hourMs } from "./periods.ts";
import type { BreakdownCell, BreakdownKind } from "./shapes.ts";

export type Happening = Omit<BreakdownCell, "count"> & { at: number };
export type Dimension = "reason" | "provider" | "domain";

/** Batches in flight at once are at most about as many. */
const shards = 2;
/**
 * Further combinations of a kind in one row are counted under provider and domain "other". Each kind has its own bound, so that
 * a flood of strange senders does not hide what bounced.
 */
export const cellsMax: Record<BreakdownKind, number> = {
  bounce: 300,
  complaint: 100,
  unsubscribe: 50,
  inbound: 100,
};
export const breakdownHoursKeptDays = 8;
const periodMs = { hour: hourMs, day: dayMs } as const;
/** Rows of at most 60 KB: far below what a query may read (16 MiB). */
const rangeMsMax = { hour: 3 * dayMs, day: daysMax * dayMs } as const;
/** Lines of a chart; what is less frequent is one more line. */
const seriesMax = 12;
const groupsMax = 100;
export const other = "other";

export async function addBreakdown(ctx: MutationCtx, happenings: readonly Happening[]): Promise<void> {
  if (happenings.length === 0) return;
  const shard = Math.floor(Math.random() * shards);
  for (const period of ["hour", "day"] as const) {
    const perStart = Map.groupBy(happenings, ({ at }) => floorTo(at, periodMs[period]));
    for (const [at, group] of perStart) {
      const row = await ctx.db
        .query("breakdowns")
        .withIndex("by_period_at_shard", (range) =>
          range.eq("period", period).eq("at", at).eq("shard", shard),
        )
        .unique();
      const cells = withHappenings(row?.cells ?? [], group);
      if (row === null) await ctx.db.insert("breakdowns", { period, at, shard, cells });
      else await ctx.db.patch(row._id, { cells });
    }
  }
}

/**
 * Takes back what was counted and is known better now: from whichever shard has it. What is so long ago that its row has left is
 * left alone.
 */
export async function takeFromBreakdown(ctx: MutationCtx, happenings: readonly Happening[]): Promise<void> {
  for (const period of ["hour", "day"] as const)
    for (const [at, group] of Map.groupBy(happenings, ({ at }) => floorTo(at, periodMs[period]))) {
      const rows = await ctx.db
        .query("breakdowns")
        .withIndex("by_period_at_shard", (range) => range.eq("period", period).eq("at", at))
        .take(shards);
      const before = rows.map(({ cells }) => cells);
      const after = group.reduce(withoutHappening, before);
      for (const [index, { _id }] of rows.entries())
        if (after[index] !== before[index]) await ctx.db.patch(_id, { cells: after[index] ?? [] });
    }
}

/** The cells of all shards with one less: of its own cell, or of `other` where it had none. */
function withoutHappening(shards: BreakdownCell[][], happening: Happening): BreakdownCell[][] {
  const keys = [keyOf(happening), keyOf({ ...happening, provider: other, domain: other })];
  for (const key of keys) {
    const index = shards.findIndex((cells) => cells.some((cell) => keyOf(cell) === key));
    if (index >= 0) return shards.with(index, withOneLess(shards[index] ?? [], key));
  }
  return shards;
}

const withOneLess = (cells: readonly BreakdownCell[], key: string): BreakdownCell[] =>
  cells
    .map((cell) => (keyOf(cell) === key ? { ...cell, count: cell.count - 1 } : cell))
    .filter(({ count }) => count > 0);

/** Cells after more happened. Of each kind never more than `cellsMax` and one for each reason. */
export function withHappenings(
  before: readonly BreakdownCell[],
  happenings: readonly Happening[],
): BreakdownCell[] {
  const cells = new Map(before.map((cell) => [keyOf(cell), cell]));
  const counts = new Map<BreakdownKind, number>();
  for (const { kind } of before) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  const add = (cell: BreakdownCell) => {
    const key = keyOf(cell);
    const present = cells.get(key);
    const ofKind = counts.get(cell.kind) ?? 0;
    if (present !== undefined) cells.set(key, { ...present, count: present.count + 1 });
    else if (ofKind < cellsMax[cell.kind] || cell.provider === other) {
      cells.set(key, cell);
      counts.set(cell.kind, ofKind + 1);
    } else add({ ...cell, provider: other, domain: other });
  };
  for (const { at: _when, ...happening } of happenings) add({ ...happening, count: 1 });
  return [...cells.values()];
}

const keyOf = ({ kind, reason, hard, provider, domain }: Omit<BreakdownCell, "count">) =>
  [kind, reason, hard, provider, domain].join(" ");

export type BreakdownFilter = { [D in Dimension]?: string };

/**
 * Counts of one kind since a time, grouped by one dimension: as lines over time and as a list. Ranges of up to three days go
 * by hours, longer ones by days (UTC), of 93 at most.
 */
export async function breakdown(
  ctx: QueryCtx,
  kind: BreakdownKind,
  by: Dimension,
  filter: BreakdownFilter,
  sinceMs: number,
  nowMs: number,
) {
  const period = nowMs - sinceMs <= rangeMsMax.hour ? "hour" : "day";
  const step = periodMs[period];
  const since = Math.max(sinceMs, nowMs - rangeMsMax[period]);
  const rows = await ctx.db
    .query("breakdowns")
    .withIndex("by_period_at_shard", (range) => range.eq("period", period).gte("at", floorTo(since, step)))
    // Twice the range leaves room for clocks that run ahead of ours.
    .take(2 * shards * Math.ceil(rangeMsMax[period] / step));

  const groups = new Map<string, { count: number; hard: number; at: Map<number, number> }>();
  let total = 0;
  let hard = 0;
  for (const { at, cells } of rows)
    for (const cell of cells) {
      if (cell.kind !== kind || !passes(cell, filter)) continue;
      const group = groups.get(cell[by]) ?? { count: 0, hard: 0, at: new Map() };
      group.count += cell.count;
      if (cell.hard) group.hard += cell.count;
      group.at.set(at, (group.at.get(at) ?? 0) + cell.count);
      groups.set(cell[by], group);
      total += cell.count;
      if (cell.hard) hard += cell.count;
    }
  const sorted = [...groups].sort(([a, x], [b, y]) => y.count - x.count || (a < b ? -1 : 1));
  return {
    periodMs: step,
    total,
    hard,
    groups: sorted.slice(0, groupsMax).map(([key, { count, hard }]) => ({ key, count, hard })),
    series: seriesOf(sorted.map(([key, { at }]) => [key, at])),
  };
}

const passes = (cell: BreakdownCell, filter: BreakdownFilter) =>
  (filter.reason === undefined || cell.reason === filter.reason) &&
  (filter.provider === undefined || cell.provider === filter.provider) &&
  (filter.domain === undefined || cell.domain === filter.domain);

function seriesOf(sorted: [key: string, at: Map<number, number>][]) {
  const lines = new Map<string, Map<number, number>>();
  for (const [index, [key, counts]] of sorted.entries()) {
    const name = index < seriesMax ? key : other;
    const line = lines.get(name) ?? new Map<number, number>();
    for (const [at, count] of counts) line.set(at, (line.get(at) ?? 0) + count);
    lines.set(name, line);
  }
  return [...lines].map(([key, line]) => ({
    key,
    points: [...line].sort(([a], [b]) => a - b).map(([at, count]) => ({ at, count })),
  }));
}
