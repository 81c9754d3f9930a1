import { expect, test } from "bun:test";
import { type Bucket, fillBuckets, peakOf, type RangeId, ranges, sinceOf, sumBuckets } from "./throughput.ts";

const now = Date.UTC(2026, 10, 21, 9, 5, 7);
const bucket = (at: number, delivered: number): Bucket => ({
  at,
  accepted: delivered,
  delivered,
  deferred: 1,
  bounced: 0,
});

test.each(Object.keys(ranges) as RangeId[])("the last bar of the %s holds this moment", (range) => {
  const since = sinceOf(range, now);
  const bars = fillBuckets([], range, since);
  const last = bars.at(-1);
  expect(bars.length).toBe(ranges[range].spanMs / ranges[range].bucketMs);
  expect(last?.at).toBeLessThanOrEqual(now);
  expect((last?.at ?? 0) + ranges[range].bucketMs).toBeGreaterThan(now);
});

test("what Convex leaves out is zero, and what lies outside the span is dropped", () => {
  const since = sinceOf("hour", now);
  const bars = fillBuckets(
    [bucket(since + 60_000, 3), bucket(since - 1, 9), bucket(since + 3_600_000, 9)],
    "hour",
    since,
  );
  expect(bars.filter((bar) => bar.delivered > 0)).toEqual([bucket(since + 60_000, 3)]);
});

test("counts within one bar add up", () => {
  const since = sinceOf("day", now);
  const bars = fillBuckets([bucket(since, 3), bucket(since + 60_000, 4)], "day", since);
  expect(sumBuckets(bars)).toEqual({ accepted: 7, delivered: 7, deferred: 2, bounced: 0 });
  expect(peakOf(bars)).toBe(bars[0]);
  expect(peakOf(fillBuckets([], "day", since))).toBeUndefined();
});
