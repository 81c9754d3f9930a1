import { expect, test } from "bun:test";
import { convexToJson } from "convex/values";
import { Random } from "../../fixtures/random.ts";
import type { Json } from "../values/wire.ts";
import { fromExportText, toExportText } from "./export-json.ts";

test("every value comes back from its export text as it was", () => {
  const random = new Random(77);
  for (let round = 0; round < 3000; round++) {
    const value = convexToJson(random.value(3)) as Json;
    expect(fromExportText(toExportText(value))).toEqual(value);
  }
});

const texts: [Json, string][] = [
  [1, "1.0"],
  [-0.5, "-0.5"],
  [1e21, "1e+21"],
  [{ $float: "AAAAAAAAAIA=" }, "-0.0"],
  [{ $float: "AAAAAAAA+H8=" }, '{"$float":"AAAAAAAA+H8="}'],
  [{ $integer: "//////////8=" }, "-1"],
  [{ $bytes: "AAE=" }, '{"$bytes":"AAE="}'],
  [{ a: [null, true, "1"] }, '{"a":[null,true,"1"]}'],
];
test.each(texts)("%p is exported as %s", (value, text) => {
  expect(toExportText(value)).toBe(text);
});

test("an integer that does not fit is refused instead of rounded", () => {
  expect(() => fromExportText("[9223372036854775808]")).toThrow("64 bits");
});
