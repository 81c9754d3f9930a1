import { expect, test } from "bun:test";
import {
  formatAgo,
  formatClock,
  formatDay,
  formatLeft,
  formatMoment,
  formatSlot,
  formatSpan,
  toLocalInput,
} from "./time.ts";

const second = 1_000;
const minute = 60 * second;
const hour = 60 * minute;

test.each([
  [-5, "0 ms"],
  [0, "0 ms"],
  [83.4, "83 ms"],
  [1_420, "1.4 s"],
  [9_960, "10 s"],
  [59_999, "59 s"],
  [3 * minute, "3 min"],
  [3 * minute + 20 * second, "3 min 20 s"],
  [2 * hour + 5 * minute, "2 h 5 min"],
  [76 * hour, "3 d 4 h"],
])("%d ms reads %p", (span, expected) => {
  expect(formatSpan(span, "en-US")).toBe(expected);
});

test("a span has the language's decimal sign", () => {
  expect(formatSpan(1_420, "de-DE")).toBe("1,4 s");
});

test.each([
  [-3 * second, "now"],
  [-30 * second, "30 sec. ago"],
  [-90 * second, "1 min. ago"],
  [2 * hour + minute, "in 2 hr."],
  [-24 * hour, "yesterday"],
])("%d ms from now reads %p", (distance, expected) => {
  expect(formatAgo(1_000_000_000 + distance, 1_000_000_000, "en-US")).toBe(expected);
});

test("a moment is given in the zone and the language", () => {
  const at = Date.UTC(2026, 10, 21, 9, 5, 7);
  expect(formatMoment(at, "de-DE", "UTC")).toBe("21.11.2026, 09:05:07");
  expect(formatClock(at, "de-DE", "Europe/Berlin")).toBe("10:05:07");
});

test("a bar names its day only where the span is longer than one", () => {
  const at = Date.UTC(2026, 10, 21, 9, 5, 7);
  expect(formatSlot(at, "de-DE", false, "UTC")).toBe("09:05");
  expect(formatSlot(at, "de-DE", true, "UTC")).toBe("Sa., 21.11. 09:05");
  expect(formatDay(at, "de-DE", "UTC")).toBe("21. Nov.");
  expect(formatDay(at, "en-US", "UTC")).toBe("Nov 21");
});

test("the value of a date field means the same minute when it is read back", () => {
  const at = Date.UTC(2026, 1, 3, 4, 5);
  expect(toLocalInput(at)).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d$/);
  expect(Date.parse(toLocalInput(at))).toBe(at);
});

test("what is counted down is told in whole seconds, and ends at none", () => {
  expect([5_940, 1, 0, -9].map((leftMs) => formatLeft(1_000 + leftMs, 1_000, "en-US"))).toEqual([
    "6 s",
    "1 s",
    "0 s",
    "0 s",
  ]);
});
