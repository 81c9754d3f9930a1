import { expect, test } from "bun:test";
import { convexToJson, compareValues as officialCompare, type Value } from "convex/values";
import { Random } from "../../fixtures/random.ts";
import { compareKeys, keyAfter, keyAfterPrefix, sortKey } from "./sort-key.ts";
import type { Json } from "./wire.ts";

const keyOf = (value: Value | undefined) =>
  sortKey([value === undefined ? undefined : (convexToJson(value) as Json)]);

test("keys sort as the official compareValues sorts values", () => {
  const random = new Random(20260822);
  for (let round = 0; round < 8000; round++) {
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

test("the key after a prefix lies between rows that start with its values and rows that start with greater ones", () => {
  const random = new Random(11);
  for (let round = 0; round < 5000; round++) {
    const [value, other, next] = [random.value(1), random.value(1), random.value(1)];
    const after = keyAfterPrefix(keyOf(value));
    const row = new Uint8Array([...keyOf(other), ...keyOf(next)]);
    const isAbove = officialCompare(other, value) > 0;
    expect({ value, other, isAbove: compareKeys(row, after) > 0 }).toEqual({ value, other, isAbove });
  }
  const text = keyAfterPrefix(keyOf("a"));
  expect(compareKeys(keyOf("a\0"), text)).toBe(1);
  expect(compareKeys(text, keyOf("a"))).toBe(1);
});

test("nothing lies between a key and the key after it", () => {
  const key = keyOf("a");
  expect(compareKeys(keyAfter(key), key)).toBe(1);
  expect(compareKeys(keyAfter(key), new Uint8Array([...key, 1]))).toBe(-1);
});
