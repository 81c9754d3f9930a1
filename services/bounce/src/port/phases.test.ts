import { expect, test } from "bun:test";
import { overdue, type Phase, phaseLimits } from "./phases.ts";

const at = (phase: Phase, nowMs: number, isBusy = false) => overdue(phase, 0, nowMs, isBusy, phaseLimits);
const [minute, second] = [60_000, 1_000];

test("who says nothing after the greeting has a minute, and ten seconds when it is crowded", () => {
  const phase: Phase = { kind: "silent", sinceMs: 0 };
  expect(at(phase, 59 * second)).toBeUndefined();
  expect(at(phase, 61 * second)).toBeString();
  expect(at(phase, 9 * second, true)).toBeUndefined();
  expect(at(phase, 11 * second, true)).toBeString();
});

test("between commands RFC 5321's five minutes are given, and twenty seconds when it is crowded", () => {
  const phase: Phase = { kind: "command", sinceMs: 0 };
  expect(at(phase, 299 * second)).toBeUndefined();
  expect(at(phase, 301 * second)).toBeString();
  expect(at(phase, 21 * second, true)).toBeString();
});

test("a session ends between messages when it has lasted half an hour, never within one", () => {
  expect(at({ kind: "command", sinceMs: 30 * minute }, 30 * minute + 1)).toBeString();
  expect(at({ kind: "data", sinceMs: 30 * minute, bytes: 0 }, 30 * minute + 1)).toBeUndefined();
  expect(at({ kind: "ours", sinceMs: 30 * minute }, 90 * minute, true)).toBeUndefined();
});

test("a message has fifteen minutes, and when it is crowded it has to come faster than one that drips", () => {
  expect(at({ kind: "data", sinceMs: 0, bytes: 1 }, 14 * minute)).toBeUndefined();
  expect(at({ kind: "data", sinceMs: 0, bytes: 1e9 }, 16 * minute)).toBeString();
  expect(at({ kind: "data", sinceMs: 0, bytes: 20_000 }, 25 * second, true)).toBeString();
  expect(at({ kind: "data", sinceMs: 0, bytes: 30_000 }, 25 * second, true)).toBeUndefined();
  expect(at({ kind: "data", sinceMs: 0, bytes: 0 }, 19 * second, true)).toBeUndefined();
});
