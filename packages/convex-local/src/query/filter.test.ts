import { expect, test } from "bun:test";
import { convexToJson, type Value } from "convex/values";
import { Random } from "../../fixtures/random.ts";
import type { Json, JsonObject } from "../values/wire.ts";
import { compile } from "./filter.ts";

const literal = (value: Value) => ({ $literal: convexToJson(value) as Json });
const field = (path: string) => ({ $field: path });
const document: JsonObject = { n: 5, s: "x", nested: { deep: 1 }, big: convexToJson(7n) as Json };

const cases: [string, Json, Json][] = [
  ["a field equals", { $eq: [field("n"), literal(5)] }, true],
  ["an int64 and a float of the same size differ", { $eq: [literal(5n), literal(5)] }, false],
  ["a missing field is undefined", { $eq: [field("none"), { $literal: { $undefined: null } }] }, true],
  ["undefined sorts before null", { $lt: [field("none"), literal(null)] }, true],
  ["a nested field is found", { $eq: [field("nested.deep"), literal(1)] }, true],
  [
    "a path through text finds nothing",
    { $eq: [field("s.length"), { $literal: { $undefined: null } }] },
    true,
  ],
  ["and of none is true", { $and: [] }, true],
  ["or of none is false", { $or: [] }, false],
  ["and stops at the first false", { $and: [literal(false), field("s")] }, false],
  ["not", { $not: literal(false) }, true],
  ["floats add", { $eq: [{ $add: [field("n"), literal(1)] }, literal(6)] }, true],
  ["int64 divide without remainder", { $eq: [{ $div: [field("big"), literal(2n)] }, literal(3n)] }, true],
  ["negation", { $eq: [{ $neg: field("n") }, literal(-5)] }, true],
];
test.each(cases)("%s", (_name, expression, expected) => {
  expect(compile(expression)(document)).toEqual(expected);
});

const refused: [string, Json, string][] = [
  ["a filter that gives text", { $and: [field("s")] }, "must give a boolean"],
  ["int64 plus float", { $add: [literal(1n), literal(1)] }, "Cannot apply $add to int64 and float64"],
  ["int64 overflow", { $add: [literal(2n ** 63n - 1n), literal(1n)] }, "overflows int64"],
  ["division by zero", { $mod: [literal(1n), literal(0n)] }, "Division by zero"],
  ["negated text", { $neg: field("s") }, "Cannot negate string"],
  ["an unknown operator", { $like: [field("s"), literal("x")] }, "Unknown filter expression"],
  ["two operators in one", { $eq: [field("s"), literal("x")], $neq: [] }, "Unknown filter expression"],
  ["a missing operand", { $eq: [field("s")] }, "Unknown filter expression"],
];
test.each(refused)("%s is refused", (_name, expression, reason) => {
  expect(() => compile(expression)(document)).toThrow(reason);
});

test("random expressions give a value or a clear refusal, never anything else", () => {
  const random = new Random(31);
  const operators = ["$eq", "$lt", "$add", "$mul", "$and", "$or", "$not", "$neg", "$field", "$literal", "$x"];
  const expression = (depth: number): Json => {
    if (depth === 0)
      return random.pick<Json>([field("n"), field("big"), literal(random.value(1)), null, 5, [], {}]);
    const operand = random.pick<Json>([
      [expression(depth - 1), expression(depth - 1)],
      expression(depth - 1),
      "n",
    ]);
    return { [random.pick(operators)]: operand };
  };
  for (let round = 0; round < 5000; round++) {
    try {
      compile(expression(3))(document);
    } catch (error) {
      expect((error as Error).name).toBe("InvalidFilter");
    }
  }
});
