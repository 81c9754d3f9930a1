import { expect, test } from "bun:test";
import { type Validator as Official, v } from "convex/values";
import { mismatch, type Validator } from "./validator.ts";
import type { Json } from "./wire.ts";

const json = (validator: Official<unknown, "required" | "optional", string>) =>
  (validator as unknown as { json: Validator }).json;
const isId = Object.assign((table: string, id: string) => id === `${table}-id`, {
  tableOf: (id: string) => (id === "teams-of" ? "teams" : undefined),
});

const user = v.object({ name: v.string(), age: v.optional(v.number()) });
const shape = v.union(
  v.object({ kind: v.literal("circle"), radius: v.number() }),
  v.object({ kind: v.literal("square"), side: v.number() }),
);

const accepted: [string, Official<unknown, "required", string>, Json][] = [
  ["an object without its optional field", user, { name: "Ada" }],
  ["any value", v.any(), { a: [1, null] }],
  ["an int64", v.int64(), { $integer: "AQAAAAAAAAA=" }],
  ["a special float", v.number(), { $float: "AAAAAAAA+H8=" }],
  ["bytes", v.bytes(), { $bytes: "AA==" }],
  ["an id of the table", v.id("users"), "users-id"],
  ["a record", v.record(v.string(), v.number()), { a: 1, b: 2 }],
  ["one member of a union", shape, { kind: "square", side: 2 }],
  ["a literal int64", v.literal(1n), { $integer: "AQAAAAAAAAA=" }],
  ["an array", v.array(v.null()), [null, null]],
];
test.each(accepted)("%s is accepted", (_name, validator, value) => {
  expect(mismatch(json(validator), value, isId)).toBeNull();
});

const refused: [string, Official<unknown, "required", string>, Json | undefined, string][] = [
  ["a missing field", user, {}, "missing the required field `name`"],
  ["an extra field", user, { name: "Ada", more: 1 }, "extra field `more`"],
  ["a field of the wrong type", user, { name: 5 }, "Path: .name"],
  ["an object where a special form stands", user, { $integer: "AQAAAAAAAAA=" }, "does not match"],
  ["an int64 where a float belongs", v.number(), { $integer: "AQAAAAAAAAA=" }, "v.float64()"],
  ["an id of another table", v.id("users"), "teams-id", 'Validator: v.id("users")'],
  ["an id of a known table", v.id("users"), "teams-of", "from table `teams`, which does not match"],
  ["a wrong element", v.array(v.string()), ["a", 2], "Path: [1]"],
  ["a wrong member of the chosen shape", shape, { kind: "circle", radius: "2" }, "Path: .radius"],
  ["no member of a union", v.union(v.string(), v.null()), 1, "v.union(v.string(), v.null())"],
  ["another literal", v.literal("a"), "b", 'v.literal("a")'],
  ["nothing at all", v.any(), undefined, "does not match"],
  ["a record with a wrong value", v.record(v.string(), v.number()), { a: "x" }, "Path: .a"],
];
test.each(refused)("%s is refused, and the place is named", (_name, validator, value, reason) => {
  expect(mismatch(json(validator), value, isId)).toContain(reason);
});
