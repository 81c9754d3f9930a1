import { expect, test } from "bun:test";
import { defineSchema, defineTable } from "convex/server";
import { v } from "convex/values";
import { convexTest } from "../testing.ts";
import { schemaOf } from "./analysis.ts";

const table = () => defineTable({ text: v.string() });

test("a staged index is accepted, and is not there for queries until it is no longer staged", async () => {
  const staged = defineSchema({
    notes: table()
      .index("by_text", { fields: ["text"], staged: true })
      .searchIndex("search", { searchField: "text", staged: true }),
  });
  expect(schemaOf({ default: staged })?.schema.tables).toMatchObject([{ tableName: "notes", indexes: [] }]);
  const t = convexTest(staged, { "./_generated/api.ts": async () => ({}) });
  await t.run(async (ctx) => {
    await ctx.db.insert("notes", { text: "a" });
  });
  await expect(
    t.run((ctx) =>
      ctx.db
        .query("notes")
        .withIndex("by_text" as never)
        .collect(),
    ),
  ).rejects.toThrow("Index notes.by_text not found");
});
