import type { SchemaJson } from "../functions/schema.ts";
import type { Table } from "../store/store.ts";

type IndexConfig = { name: string; type: "database"; fields: string[] };
export type IndexDiff = { added_indexes: IndexConfig[]; removed_indexes: IndexConfig[] };

/** Which indexes a schema adds to the tables that are there, and which it drops. */
export function indexDiff(tables: readonly Table[], schema: SchemaJson | null): IndexDiff {
  const wanted = (schema?.tables ?? []).flatMap(({ tableName, indexes }) =>
    indexes.map(({ indexDescriptor, fields }) => config(tableName, indexDescriptor, fields)),
  );
  const present = tables.flatMap(({ name, indexes }) =>
    indexes
      .filter((index) => index.name !== "by_creation_time")
      .map((index) => config(name, index.name, [...index.fields, "_creationTime"])),
  );
  return {
    added_indexes: wanted.filter((index) => !present.some((other) => Bun.deepEquals(index, other))),
    removed_indexes: present.filter((index) => !wanted.some((other) => Bun.deepEquals(index, other))),
  };
}

const config = (table: string, name: string, fields: string[]): IndexConfig => ({
  name: `${table}.${name}`,
  type: "database",
  fields: fields.at(-1) === "_creationTime" ? fields : [...fields, "_creationTime"],
});
