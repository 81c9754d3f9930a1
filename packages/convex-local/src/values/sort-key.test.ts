import { expect, test } from "bun:test";
import { convexToJson, compareValues as officialCompare, type Value } from "convex/values";
import { Random } from "../../fixtures/random.ts";
import { compareKeys, keyAfter, keyAfterPrefix, sortKey } from "./sort-key.ts";
import type { Json } from "./wire.ts";

const keyOf = (value: Value | undefined) =>
  sortKey([value === undefined ? undefined : (convexToJson(value) as Json)]);

test("keys sort as the official compareValues sorts values", () => {
  const random = new Random(20260822);
  for (let round = 0; round < 20_000; round++) {
    const left = random.below(50) === 0 ? undefined : random.value(3);
    const right = random.below(10) === 0 ? left : random.value(3);
    const expected = Math.sign(officialCompare(left, right));
    expect({ left, right, order: Math.sign(compareKeys(keyOf(left), keyOf(right))) }).toEqual({
      left,
      right,
      order: expected,
    });
  }
});

test("a row sorts by its first value, then by the next", () => {
  const random = new Random(7);
  for (let round = 0; round < 5000; round++) {
    const [a, b, c, d] = [random.value(1), random.value(1), random.value(1), random.value(1)].map(
      (value) => convexToJson(value) as Json,
    );
    const rows = compareKeys(sortKey([a, b]), sortKey([c, d]));
    const first = compareKeys(sortKey([a]), sortKey([c]));
    expect(Math.sign(rows)).toBe(Math.sign(first === 0 ? compareKeys(sortKey([b]), sortKey([d])) : first));
  }
});

test("the key after a prefix is above all keys that start with it, and the key after a key is next to it", () => {
  const random = new Random(11);
  for (let round = 0; round < 2000; round++) {
    const prefix = keyOf(random.value(1));
    const longer = sortKey(["x"]);
    const row = new Uint8Array([...prefix, ...longer]);
    const after = keyAfterPrefix(prefix);
    expect(after === undefined || compareKeys(row, after) < 0).toBe(true);
    expect(compareKeys(keyAfter(prefix), prefix)).toBe(1);
    expect(compareKeys(keyAfter(prefix), row)).toBeLessThanOrEqual(0);
  }
  expect(keyAfterPrefix(new Uint8Array([1, 0xff, 0xff]))).toEqual(new Uint8Array([2]));
  expect(keyAfterPrefix(new Uint8Array([0xff]))).toBeUndefined();
});
