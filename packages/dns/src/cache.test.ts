import { expect, test } from "bun:test";
import { TtlCache } from "./cache.ts";

test("an entry ends with its time, and tells how much is left", () => {
  let now = 1_000;
  const cache = new TtlCache<string>(10, () => now);
  cache.set("a", "one", 5_000);
  now += 2_000;
  expect(cache.get("a")).toEqual({ value: "one", leftMs: 3_000 });
  now += 3_000;
  expect(cache.get("a")).toBeUndefined();
  expect(cache.size).toBe(0);
});

test("the entry unused for longest makes room", () => {
  const cache = new TtlCache<number>(2, () => 0);
  cache.set("a", 1, 10);
  cache.set("b", 2, 10);
  cache.get("a");
  cache.set("c", 3, 10);
  expect([cache.get("a")?.value, cache.get("b")?.value, cache.get("c")?.value]).toEqual([1, undefined, 3]);
});

test("a time of zero is not kept and takes away what was", () => {
  const cache = new TtlCache<number>(2, () => 0);
  cache.set("a", 1, 10);
  cache.set("a", 2, 0);
  expect(cache.get("a")).toBeUndefined();
});
