import { expect, test } from "bun:test";
import { breakdownBars, breakdownRanges, breakdownSince, breakdownTicks, seriesColor } from "./breakdown.ts";

const nowMs = Date.UTC(2026, 10, 21, 6, 30);

test("the last bar holds the present", () => {
  expect(new Date(breakdownSince("day", nowMs)).toISOString()).toBe("2026-11-20T07:00:00.000Z");
  expect(new Date(breakdownSince("week", nowMs)).toISOString()).toBe("2026-11-15T00:00:00.000Z");
  const { bars } = breakdownBars([], "month", breakdownSince("month", nowMs));
  expect(bars.at(-1)?.at).toBe(Date.UTC(2026, 10, 21));
});

test("the five most frequent have their own place, the others share one", () => {
  const sinceMs = breakdownSince("week", nowMs);
  const points = [{ at: sinceMs + 2 * breakdownRanges.week.barMs, count: 3 }];
  const found = ["a", "b", "c", "d", "e", "f", "other"].map((key) => ({ key, points }));
  const { keys, bars } = breakdownBars(found, "week", sinceMs);
  expect(keys).toEqual(["a", "b", "c", "d", "e", "other"]);
  expect(bars[2]?.counts).toEqual([3, 3, 3, 3, 3, 6]);
  expect(bars[1]?.counts).toEqual([0, 0, 0, 0, 0, 0]);
  expect(keys.map(seriesColor).at(-1)).toBe("var(--tyto-mix-other)");
});

test("points outside of the span are left out", () => {
  const found = [{ key: "a", points: [{ at: 0, count: 9 }] }];
  const { bars } = breakdownBars(found, "day", breakdownSince("day", nowMs));
  expect(bars.flatMap(({ counts }) => counts).every((count) => count === 0)).toBe(true);
});

test("labels stand where there is room for them, and always at the present", () => {
  for (const [range, count] of [
    ["day", 6],
    ["week", 7],
    ["month", 6],
  ] as const) {
    const { bars } = breakdownBars([], range, breakdownSince(range, nowMs));
    const ticks = breakdownTicks(bars, range);
    expect([ticks.length, ticks.at(-1)]).toEqual([count, bars.at(-1)?.at]);
  }
});
