import { expect, test } from "bun:test";
import type { Doing } from "./board.ts";
import { Refusals } from "./refusals.ts";
import { Strikes } from "./strikes.ts";

const doing = (path: string, hash: string): Doing => ({ kind: "query", path, hash, passage: 0 });
const reasonAt = (strikes: Strikes, path: string, hash: string, nowMs: number) =>
  new Refusals(strikes.refusals(nowMs)).reason(path, hash, nowMs);

test("the only suspect is refused for a minute, then for two, other arguments are not", () => {
  const strikes = new Strikes();
  strikes.add([doing("a:b", "1")], "time", 0);
  expect(reasonAt(strikes, "a:b", "1", 59_000)).toContain("Function execution timed out");
  expect(reasonAt(strikes, "a:b", "2", 59_000)).toBeNull();
  expect(reasonAt(strikes, "a:b", "1", 61_000)).toBeNull();
  strikes.add([doing("a:b", "1")], "memory", 61_000);
  expect(reasonAt(strikes, "a:b", "1", 180_000)).toContain("ran out of memory");
});

test("a function that ends the engine three times is refused with any arguments, a cured one is not", () => {
  const strikes = new Strikes();
  for (const hash of ["1", "2", "3"]) strikes.add([doing("a:b", hash)], "time", 0);
  expect(reasonAt(strikes, "a:b", "9", 1000)).toContain("3 times");
  expect(reasonAt(strikes, "a:c", "9", 1000)).toBeNull();
  expect(reasonAt(strikes, "a:b", "9", 700_000)).toBeNull();
  strikes.clear();
  expect(strikes.refusals(0)).toEqual([]);
});

test("a crash counts against a call only when it happens with it again and again", () => {
  const strikes = new Strikes();
  for (let crash = 0; crash < 2; crash++) strikes.add([doing("a:b", "1")], "crash", 0);
  expect(reasonAt(strikes, "a:b", "1", 1)).toBeNull();
  strikes.add([doing("a:b", "1")], "crash", 0);
  expect(reasonAt(strikes, "a:b", "1", 1)).toContain("crashed");
});

test("suspects that ran together are not refused for one end", () => {
  const strikes = new Strikes();
  strikes.add([doing("a:b", "1"), doing("a:c", "2")], "time", 0);
  expect(strikes.refusals(1)).toEqual([]);
});

test("what is remembered has a bound", () => {
  const strikes = new Strikes();
  for (let call = 0; call < 3000; call++) strikes.add([doing(`a:${call}`, String(call))], "time", 0);
  expect(strikes.refusals(1).length).toBeLessThanOrEqual(1000);
});
