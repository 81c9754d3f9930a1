import { expect, test } from "bun:test";
import { defineSchema, defineTable } from "convex/server";
import { v } from "convex/values";
import { SchemaJson } from "./schema.ts";
import { schemaProblem } from "./schema-rules.ts";

type Tables = Parameters<typeof defineSchema>[0];
const problemOf = (tables: Tables) => {
  const exported = defineSchema(tables) as unknown as { export(): string };
  return schemaProblem(SchemaJson.parse(JSON.parse(exported.export())));
};
const table = () => defineTable({ a: v.string(), b: v.optional(v.object({ c: v.number() })) });
const many = Array.from({ length: 17 }, (_, index) => `f${index}`);
// What the types forbid is what is tested.
const withIndexes = (indexes: [string, string[]][]) =>
  ({ t: indexes.reduce((made, [name, fields]) => made.index(name, fields as never), table()) }) as Tables;

test("a schema of all kinds of tables is sound", () => {
  expect(
    problemOf({
      plain: table().index("by_a", ["a"]).index("by_b_c", ["b.c", "a"]),
      shapes: defineTable(v.union(v.object({ x: v.string() }), v.object({ y: v.number() }))),
      loose: defineTable(v.any()),
    }),
  ).toBeNull();
});

const refused: [string, Tables, string][] = [
  ["a table name with a dash", { "a-b": table() }, "must begin with a letter"],
  ["a system table", { _files: table() }, "must begin with a letter"],
  ["a reserved index", withIndexes([["by_id", ["a"]]]), "by_id is reserved"],
  ["an index name with a dot", withIndexes([["by.a", ["a"]]]), "not an identifier"],
  ["an index without fields", withIndexes([["by_none", []]]), "at least one field"],
  ["too many fields", withIndexes([["by_many", many]]), "maximum 16"],
  ["a field twice", withIndexes([["by_twice", ["a", "a"]]]), "the field a twice"],
  ["an index by id", withIndexes([["by_key", ["_id"]]]), "db.get()"],
  ["a path that is none", withIndexes([["by_path", ["a..b"]]]), "not a field path"],
  ["too many indexes", withIndexes(Array.from({ length: 33 }, (_, i) => [`i${i}`, ["a"]])), "maximum 32"],
  ["documents that are no objects", { t: defineTable(v.string() as never) }, "must be an object"],
  ["a field of the system", { t: defineTable({ _mine: v.string() } as never) }, "reserved character"],
];
test.each(refused)("%s is refused", (_name, tables, reason) => {
  expect(problemOf(tables)).toContain(reason);
});
