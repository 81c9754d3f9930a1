export type Bucket = { at: number; accepted: number; delivered: number; deferred: number; bounced: number };
export const series = ["delivered", "deferred", "bounced"] as const;
export type Series = (typeof series)[number];

export type RangeId = "hour" | "day" | "week";
const minuteMs = 60_000;
/** Spans of the chart: each is drawn in about 60 bars. */
export const ranges: Record<RangeId, { spanMs: number; bucketMs: number }> = {
  hour: { spanMs: 60 * minuteMs, bucketMs: minuteMs },
  day: { spanMs: 24 * 60 * minuteMs, bucketMs: 30 * minuteMs },
  week: { spanMs: 7 * 24 * 60 * minuteMs, bucketMs: 180 * minuteMs },
};

/** The start of the first bar, such that the bar that holds `nowMs` is the last. */
export function sinceOf(range: RangeId, nowMs: number): number {
  const { spanMs, bucketMs } = ranges[range];
  return Math.floor(nowMs / bucketMs) * bucketMs + bucketMs - spanMs;
}

/** One bar per bucket, empty ones too: what Convex leaves out is zero. */
export function fillBuckets(found: readonly Bucket[], range: RangeId, sinceMs: number): Bucket[] {
  const { spanMs, bucketMs } = ranges[range];
  const bars: Bucket[] = Array.from({ length: spanMs / bucketMs }, (_, index) => ({
    at: sinceMs + index * bucketMs,
    accepted: 0,
    delivered: 0,
    deferred: 0,
    bounced: 0,
  }));
  for (const bucket of found) {
    const bar = bars[Math.floor((bucket.at - sinceMs) / bucketMs)];
    if (bar === undefined) continue;
    bar.accepted += bucket.accepted;
    bar.delivered += bucket.delivered;
    bar.deferred += bucket.deferred;
    bar.bounced += bucket.bounced;
  }
  return bars;
}

export function sumBuckets(bars: readonly Bucket[]): Omit<Bucket, "at"> {
  const sum = { accepted: 0, delivered: 0, deferred: 0, bounced: 0 };
  for (const bar of bars)
    for (const key of ["accepted", "delivered", "deferred", "bounced"] as const) sum[key] += bar[key];
  return sum;
}

/** Whole numbers for the axis: from 0 to at least `top`, in at most five steps of 1, 2 or 5 times a power of ten. */
export function countTicks(top: number): number[] {
  const stepsMax = 5;
  let step = 1;
  for (let power = 1; step * stepsMax < top; power *= 10)
    step = [1, 2, 5].map((digit) => digit * power).find((size) => size * stepsMax >= top) ?? step;
  const count = Math.max(1, Math.ceil(top / step));
  return Array.from({ length: count + 1 }, (_, index) => index * step);
}

/** The bars that get a label: every ten minutes, every four hours, or the first of each day, by the local clock. */
export function labelledBars(bars: readonly Bucket[], range: RangeId): number[] {
  const isRound = (at: number, before: number | undefined): boolean => {
    const date = new Date(at);
    if (range === "hour") return date.getMinutes() % 10 === 0;
    if (range === "day") return date.getMinutes() === 0 && date.getHours() % 4 === 0;
    return before !== undefined && new Date(before).getDay() !== date.getDay();
  };
  return bars.filter((bar, index) => isRound(bar.at, bars[index - 1]?.at)).map((bar) => bar.at);
}

/** The bar with the most deliveries, or undefined when nothing was delivered. */
export function peakOf(bars: readonly Bucket[]): Bucket | undefined {
  return bars.reduce<Bucket | undefined>(
    (peak, bar) => (bar.delivered > (peak?.delivered ?? 0) ? bar : peak),
    undefined,
  );
}
