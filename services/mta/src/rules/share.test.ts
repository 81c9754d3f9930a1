import { expect, test } from "bun:test";
import { countAttempt, type ShareWindow } from "./share.ts";

const withinMs = 100_000;

test("attempts within the time are counted, and of them those that match", () => {
  const window: ShareWindow = [];
  expect(countAttempt(window, 0, true, withinMs)).toEqual({ attempts: 1, matches: 1 });
  expect(countAttempt(window, 50_000, false, withinMs)).toEqual({ attempts: 2, matches: 1 });
  expect(countAttempt(window, 99_999, true, withinMs)).toEqual({ attempts: 3, matches: 2 });
});

test("older ones fall out, a tenth of the time at once", () => {
  const window: ShareWindow = [];
  countAttempt(window, 1_000, true, withinMs);
  countAttempt(window, 9_000, true, withinMs);
  countAttempt(window, 10_000, true, withinMs);
  expect(countAttempt(window, 99_000, false, withinMs)).toEqual({ attempts: 4, matches: 3 });
  expect(countAttempt(window, 100_000, false, withinMs)).toEqual({ attempts: 3, matches: 1 });
  expect(countAttempt(window, 500_000, false, withinMs)).toEqual({ attempts: 1, matches: 0 });
});

test("what comes late counts with the newest, and a window never has more than its parts", () => {
  const window: ShareWindow = [];
  countAttempt(window, 100_000, false, withinMs);
  expect(countAttempt(window, 20_000, true, withinMs)).toEqual({ attempts: 2, matches: 1 });
  for (let atMs = 100_000; atMs < 2_000_000; atMs += 700) countAttempt(window, atMs, true, withinMs);
  expect(window.length).toBeLessThanOrEqual(10);
});
