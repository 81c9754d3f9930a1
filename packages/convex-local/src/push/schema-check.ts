import type { Component } from "../components/component.ts";
import { idsOf, type SchemaJson, schemaMismatch } from "../functions/schema.ts";
import type { Store } from "../store/store.ts";
import { indexDiff } from "./index-diff.ts";

export type SchemaFailure = { componentPath: string; tableName: string; error: string };

/** The first document of a component that a schema does not allow. Tables that are checked already are passed over. */
export function firstMismatch(
  { store, components }: { store: Store; components: ReadonlyMap<string, Component> },
  component: string,
  schema: SchemaJson,
): SchemaFailure | null {
  const current = components.get(component)?.schema;
  for (const { tableName, documentType } of schema.tables) {
    const table = store.table(component, tableName);
    const enforced = current?.tables.find((other) => other.tableName === tableName)?.documentType;
    const isEnforced = current?.schemaValidation === true && enforced !== undefined;
    if (table === undefined || (isEnforced && Bun.deepEquals(enforced, documentType))) continue;
    for (const document of store.documents(table)) {
      const found = schemaMismatch(schema, tableName, document, idsOf(store, component));
      if (found === null) continue;
      const error = `Document with ID "${String(document._id)}" in table "${tableName}" does not match the schema: ${found}`;
      return { componentPath: component, tableName, error };
    }
  }
  return null;
}

/** What a schema would do to the tables and indexes of a component, as the CLI asks before a push. */
export function evaluateSchema(store: Store, component: string, schema: SchemaJson | null) {
  const countOf = (name: string) => {
    const table = store.table(component, name);
    return table === undefined ? 0 : store.count(table);
  };
  const diff = indexDiff(store.tables(component), schema);
  const indexes = [
    ...diff.added_indexes.map((index) => ({ index, change: "added", needsBackfill: true })),
    ...diff.removed_indexes.map((index) => ({ index, change: "dropped", needsBackfill: false })),
  ].map(({ index, ...rest }) => ({ ...index, ...rest, numDocs: countOf(index.name.split(".")[0] ?? "") }));
  const tables = (schema?.tables ?? []).map(({ tableName }) => ({
    name: tableName,
    outcome: "mustWalk",
    numDocs: countOf(tableName),
    sizeBytes: 0,
  }));
  return { schemaValidation: schema?.schemaValidation ?? false, tables, indexes };
}
