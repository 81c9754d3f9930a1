import { expect, test } from "bun:test";
import { divideRate, divideWhole } from "./divide.ts";

const wants = (...amounts: number[]) =>
  amounts.map((wanted, index) => ({ id: `p${index}`, wanted, order: index }));
const parts = (divided: Map<string, number>) => [...divided.values()];

test("who wants less than an equal part gets what he wants, the others the rest in equal parts", () => {
  expect(parts(divideWhole(20, wants(2, 100, 100)))).toEqual([2, 9, 9]);
  expect(parts(divideWhole(20, wants(100, 100, 100)))).toEqual([7, 7, 6]);
  expect(parts(divideWhole(1, wants(5, 5, 5)))).toEqual([1, 0, 0]);
});

test("what nobody wants is spread evenly", () => {
  expect(parts(divideWhole(20, wants(0, 0)))).toEqual([10, 10]);
  expect(parts(divideWhole(20, wants(1, 3)))).toEqual([9, 11]);
});

test("the parts are all of the limit, whole, and never more than it", () => {
  for (let seed = 1; seed < 2_000; seed++) {
    const limit = seed % 97;
    const divided = divideWhole(
      limit,
      wants(...Array.from({ length: 1 + (seed % 7) }, (_, at) => (seed * (at + 3)) % 41)),
    );
    expect(parts(divided).reduce((sum, part) => sum + part, 0)).toBe(limit);
    expect(parts(divided).every((part) => Number.isInteger(part) && part >= 0)).toBe(true);
  }
});

test("the parts of a rate are never more than it and less by a thousandth each at most", () => {
  for (const limit of [0.5, 6, 60, 12_345]) {
    const divided = parts(divideRate(limit, wants(1, 50, 7_000, 7_000)));
    const sum = divided.reduce((total, part) => total + part, 0);
    expect(sum).toBeLessThanOrEqual(limit * (1 + 1e-9));
    expect(sum).toBeGreaterThanOrEqual(limit * 0.99);
  }
  expect(parts(divideRate(0, wants(1, 1)))).toEqual([0, 0]);
  expect(parts(divideRate(Number.POSITIVE_INFINITY, wants(1, 1)))).toEqual([
    Number.POSITIVE_INFINITY,
    Number.POSITIVE_INFINITY,
  ]);
});
