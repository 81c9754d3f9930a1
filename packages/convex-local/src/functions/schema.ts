import { z } from "zod";
import type { Store, Table } from "../store/store.ts";
import type { CompanionConfig } from "../store/tables.ts";
import { decodeId } from "../values/id.ts";
import { type IsId, mismatch, type Validator } from "../values/validator.ts";
import type { JsonObject } from "../values/wire.ts";
import { UserError } from "./errors.ts";

const SEARCH_INDEXES_MAX = 4;
const VECTOR_INDEXES_MAX = 4;
const FilterFields = z.array(z.string()).max(16);

const Named = z.object({ indexDescriptor: z.string(), fields: z.array(z.string()) });

/** The part of an exported schema that the engine acts on; the whole of it is kept as text. */
export const SchemaJson = z.object({
  tables: z.array(
    z.object({
      tableName: z.string(),
      indexes: z.array(Named),
      searchIndexes: z
        .array(z.object({ indexDescriptor: z.string(), searchField: z.string(), filterFields: FilterFields }))
        .max(SEARCH_INDEXES_MAX)
        .nullish(),
      vectorIndexes: z
        .array(
          z.object({
            indexDescriptor: z.string(),
            vectorField: z.string(),
            dimensions: z.number().int().min(2).max(4096),
            filterFields: FilterFields,
          }),
        )
        .max(VECTOR_INDEXES_MAX)
        .nullish(),
      documentType: z.custom<Validator>().nullish(),
    }),
  ),
  schemaValidation: z.boolean(),
});
export type SchemaJson = z.infer<typeof SchemaJson>;

/** Whether texts are ids of tables of this component. */
export function idsOf(store: Store, component: string): IsId {
  const isId: IsId = (tableName, id) => {
    const table = store.table(component, tableName);
    return table !== undefined && decodeId(id)?.tableNumber === table.number;
  };
  isId.tableOf = (id) => {
    const number = decodeId(id)?.tableNumber;
    return number === undefined ? undefined : store.tableByNumber(component, number)?.name;
  };
  return isId;
}

/** What is wrong with a document, or null; system fields are not part of the document type. */
export function schemaMismatch(
  schema: SchemaJson | null,
  tableName: string,
  document: JsonObject,
  isId: IsId,
): string | null {
  if (schema === null || !schema.schemaValidation) return null;
  const type = documentTypes(schema).get(tableName);
  if (type === undefined) return null;
  const { _id, _creationTime, ...fields } = document;
  return mismatch(type, fields, isId);
}

const typesBySchema = new WeakMap<SchemaJson, Map<string, Validator>>();

function documentTypes(schema: SchemaJson): Map<string, Validator> {
  let types = typesBySchema.get(schema);
  if (types === undefined) {
    types = new Map(
      schema.tables.flatMap(({ tableName, documentType }) =>
        documentType === null || documentType === undefined ? [] : [[tableName, documentType]],
      ),
    );
    typesBySchema.set(schema, types);
  }
  return types;
}

/** The same for one write, as the error that the function sees. */
export function checkDocument(
  schema: SchemaJson | null,
  table: Table,
  document: JsonObject,
  isId: IsId,
): void {
  const found = schemaMismatch(schema, table.name, document, isId);
  if (found === null) return;
  throw new UserError(
    "SchemaValidationError",
    `Failed to insert or update a document in table "${table.name}" because it does not match the schema: ${found}`,
  );
}

/** Makes tables and indexes those of the schema. Runs inside the caller's transaction. */
export function applySchema(store: Store, component: string, schema: SchemaJson | null): void {
  const wanted = new Map((schema?.tables ?? []).map((table) => [table.tableName, table.indexes]));
  for (const name of wanted.keys())
    if (store.table(component, name) === undefined) store.createTable(component, name);
  for (const table of store.tables(component)) {
    applyCompanions(store, table, companionsOf(schema, table.name));
    const indexes = wanted.get(table.name) ?? [];
    for (const index of table.indexes) {
      if (index.name === "by_creation_time") continue;
      const same = indexes.find(
        ({ indexDescriptor, fields }) => indexDescriptor === index.name && sameFields(fields, index.fields),
      );
      if (same === undefined) store.dropIndex(table, index);
    }
    for (const { indexDescriptor, fields } of indexes) {
      if (!table.indexes.some(({ name }) => name === indexDescriptor)) {
        store.createIndex(table, indexDescriptor, withoutCreationTime(fields));
      }
    }
  }
}

/** The full-text and vector indexes of a table, by name. */
export function companionsOf(schema: SchemaJson | null, tableName: string): Map<string, CompanionConfig> {
  const { searchIndexes, vectorIndexes } =
    schema?.tables.find((table) => table.tableName === tableName) ?? {};
  return new Map<string, CompanionConfig>([
    ...(searchIndexes ?? []).map(
      ({ indexDescriptor, ...config }) => [indexDescriptor, { kind: "search", ...config }] as const,
    ),
    ...(vectorIndexes ?? []).map(
      ({ indexDescriptor, ...config }) => [indexDescriptor, { kind: "vector", ...config }] as const,
    ),
  ]);
}

function applyCompanions(store: Store, table: Table, wanted: ReadonlyMap<string, CompanionConfig>): void {
  for (const companion of table.companions) {
    const config = wanted.get(companion.name);
    if (config === undefined || !Bun.deepEquals(config, companion.config))
      store.dropCompanion(table, companion);
  }
  for (const [name, config] of wanted) {
    if (!table.companions.some((companion) => companion.name === name)) {
      store.createCompanion(table, name, config);
    }
  }
}

const sameFields = (declared: string[], stored: string[]) =>
  JSON.stringify(withoutCreationTime(declared)) === JSON.stringify(stored);

/** A declared index may name its implicit last field. */
const withoutCreationTime = (fields: string[]) =>
  fields.at(-1) === "_creationTime" ? fields.slice(0, -1) : fields;
