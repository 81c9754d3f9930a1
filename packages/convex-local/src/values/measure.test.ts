import { expect, test } from "bun:test";
import { convexToJson, getConvexSize, type Value } from "convex/values";
import { Random } from "../../fixtures/random.ts";
import { InvalidValue, measure } from "./measure.ts";
import type { Json } from "./wire.ts";

test("sizes are those that the official package computes", () => {
  const random = new Random(5);
  for (let round = 0; round < 3000; round++) {
    const value: Value = random.value(3);
    expect(measure(convexToJson(value) as Json, 64)).toBe(getConvexSize(value));
  }
});

const nested = (depth: number): Json => (depth === 0 ? 1 : [nested(depth - 1)]);
const cases: [string, Json, string][] = [
  ["a reserved field name", { $set: [] }, "reserved"],
  ["a control character in a field name", { "a\nb": 1 }, "printable ASCII"],
  ["a field name beyond ASCII", { é: 1 }, "printable ASCII"],
  ["an int64 of the wrong length", { $integer: "AAAA" }, "3 bytes, not 8"],
  ["an int64 that is no text", { a: { $integer: 5 } }, "at a"],
  ["a float of the wrong length", { $float: "" }, "0 bytes, not 8"],
  ["an undefined", { a: [{ $undefined: null }] }, "at a[0]"],
  ["too many elements", Array.from({ length: 8193 }, () => 0), "8193 > maximum length 8192"],
  [
    "too many fields",
    Object.fromEntries(Array.from({ length: 1025 }, (_, i) => [`f${i}`, 0])),
    "1025 > 1024",
  ],
  ["too deep a nesting", nested(65), "Value is too nested"],
];

test.each(cases)("%s is refused", (_name, value, reason) => {
  expect(() => measure(value, 64)).toThrow(InvalidValue);
  expect(() => measure(value, 64)).toThrow(reason);
});
