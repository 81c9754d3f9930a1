import { companionsOf, type SchemaJson } from "../functions/schema.ts";
import type { Table } from "../store/store.ts";
import type { CompanionConfig } from "../store/tables.ts";

type IndexConfig =
  | { name: string; type: "database"; fields: string[] }
  | { name: string; type: "search"; searchField: string; filterFields: string[] }
  | { name: string; type: "vector"; vectorField: string; dimensions: number; filterFields: string[] };
export type IndexDiff = { added_indexes: IndexConfig[]; removed_indexes: IndexConfig[] };

/** Which indexes a schema adds to the tables that are there, and which it drops. */
export function indexDiff(tables: readonly Table[], schema: SchemaJson | null): IndexDiff {
  const wanted = (schema?.tables ?? []).flatMap(({ tableName, indexes }) => [
    ...indexes.map(({ indexDescriptor, fields }) => ordinary(tableName, indexDescriptor, fields)),
    ...[...companionsOf(schema, tableName)].map(([name, config]) => companion(tableName, name, config)),
  ]);
  const present = tables.flatMap(({ name, indexes, companions }) => [
    ...indexes
      .filter((index) => index.name !== "by_creation_time")
      .map((index) => ordinary(name, index.name, [...index.fields, "_creationTime"])),
    ...companions.map((index) => companion(name, index.name, index.config)),
  ]);
  return {
    added_indexes: wanted.filter((index) => !present.some((other) => Bun.deepEquals(index, other))),
    removed_indexes: present.filter((index) => !wanted.some((other) => Bun.deepEquals(index, other))),
  };
}

const ordinary = (table: string, name: string, fields: string[]): IndexConfig => ({
  name: `${table}.${name}`,
  type: "database",
  fields: fields.at(-1) === "_creationTime" ? fields : [...fields, "_creationTime"],
});

function companion(table: string, name: string, config: CompanionConfig): IndexConfig {
  const { kind, ...rest } = config;
  return { name: `${table}.${name}`, type: kind, ...rest } as IndexConfig;
}
