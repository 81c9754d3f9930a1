import { expect, test } from "bun:test";
import { capOfDay, lastDay, leapFrom, midnightAfter, partOfDay } from "./schedule.ts";

test("the caps of the points stand, and grow evenly between them", () => {
  expect([1, 2, 3, 5, 7, 10, 14, 18, 21, 25].map(capOfDay)).toEqual([
    ...[50, 100, 200, 700, 1_500, 3_000, 7_500, 15_000, 20_000, 30_000],
  ]);
  expect([capOfDay(4), capOfDay(6)]).toEqual([450, 1_100]);
  for (let day = 1; day < lastDay; day++) expect(capOfDay(day + 1)).toBeGreaterThan(capOfDay(day));
});

test("a day that went well leads on by at least one day, and never to more than twice its cap unless that is the next day", () => {
  for (let day = 1; day < lastDay; day++) {
    const next = leapFrom(day);
    expect(next).toBeGreaterThan(day);
    if (next > day + 1) expect(capOfDay(next)).toBeLessThanOrEqual(2 * capOfDay(day));
  }
  let days = 0;
  for (let day = 1; day < lastDay; day = leapFrom(day)) days++;
  expect(days).toBeWithin(10, 16);
});

test("days are those of UTC", () => {
  const noon = Date.UTC(2026, 10, 21, 12);
  expect(midnightAfter(noon)).toBe(Date.UTC(2026, 10, 22));
  expect(midnightAfter(Date.UTC(2026, 10, 22))).toBe(Date.UTC(2026, 10, 23));
  expect(partOfDay(noon)).toBe(0.5);
});
