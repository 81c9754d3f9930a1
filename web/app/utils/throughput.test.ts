import { expect, test } from "bun:test";
import {
  type Bucket,
  countTicks,
  fillBuckets,
  labelledBars,
  peakOf,
  type RangeId,
  ranges,
  sinceOf,
  sumBuckets,
} from "./throughput.ts";

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

test.each([
  [0, [0, 1]],
  [3, [0, 1, 2, 3]],
  [7, [0, 2, 4, 6, 8]],
  [31, [0, 10, 20, 30, 40]],
  [1_200, [0, 500, 1_000, 1_500]],
])("an axis up to %d has whole steps that reach it", (top, expected) => {
  expect(countTicks(top)).toEqual(expected);
});

test("an axis has few steps and reaches every top", () => {
  for (let top = 1; top < 5_000_000; top = Math.ceil(top * 1.7)) {
    const ticks = countTicks(top);
    expect(ticks.length).toBeLessThanOrEqual(6);
    expect(ticks.at(-1)).toBeGreaterThanOrEqual(top);
  }
});

test("labels stand at round times, a handful per span", () => {
  for (const range of Object.keys(ranges) as RangeId[]) {
    const labelled = labelledBars(fillBuckets([], range, sinceOf(range, now)), range);
    expect(labelled.length).toBeGreaterThanOrEqual(5);
    expect(labelled.length).toBeLessThanOrEqual(8);
  }
});
