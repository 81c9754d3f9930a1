import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { defineSchema, defineTable } from "convex/server";
import { v } from "convex/values";
import { ROOT } from "../components/component.ts";
import { applySchema, SchemaJson } from "../functions/schema.ts";
import { Transaction } from "../functions/transaction.ts";
import { databasePath, openDatabase } from "./database.ts";
import { Store } from "./store.ts";

const directory = mkdtempSync(join(tmpdir(), "convex-companion-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const schema = defineSchema({
  pages: defineTable({ text: v.string(), site: v.string(), place: v.array(v.float64()) })
    .searchIndex("by_text", { searchField: "text", filterFields: ["site"] })
    .vectorIndex("by_place", { vectorField: "place", dimensions: 2, filterFields: ["site"] }),
}) as unknown as { export(): string };

function find(store: Store) {
  const [search, vectors] = store.table(ROOT, "pages")?.companions ?? [];
  if (search?.kind !== "search" || vectors?.kind !== "vector") throw new Error("The indexes are not there");
  const filter = [{ field: "site", value: "a" }];
  return {
    texts: search.find("page", filter, 10).map(({ doc }) => search.document(doc)),
    places: vectors.nearest([1, 0], filter, 10).map(({ doc, score }) => [vectors.documentId(doc), score]),
  };
}

test("full-text and vector indexes are there after a restart, and in a copy of the file", () => {
  const dataDir = join(directory, "original");
  const before = new Store(openDatabase(dataDir, "FULL"), 1);
  const transaction = new Transaction(before, () => null, 1);
  transaction.changeCatalog();
  applySchema(before, ROOT, SchemaJson.parse(JSON.parse(schema.export())));
  for (let index = 0; index < 6; index++) {
    const page = { text: `page ${index}`, site: index % 2 === 0 ? "a" : "b", place: [index, 1] };
    const id = transaction.insert(ROOT, "pages", page);
    // A gap among the rows, which a copy must not close.
    if (index === 2) transaction.remove(ROOT, id);
  }
  transaction.commit(1);
  const found = find(before);
  expect(found.texts).toHaveLength(2);
  expect(found.places).toHaveLength(2);
  const copyDir = join(directory, "copy");
  mkdirSync(dirname(databasePath(copyDir)), { recursive: true });
  before.sql.raw.query("VACUUM INTO ?").run(databasePath(copyDir));
  before.close();

  for (const dir of [dataDir, copyDir]) {
    const after = new Store(openDatabase(dir, "FULL"), 1);
    expect(find(after)).toEqual(found);
    after.close();
  }
});
