import { IDENTIFIER } from "../values/identifier.ts";
import type { Field, Validator } from "../values/validator.ts";
import type { SchemaJson } from "./schema.ts";

const FIELD_PATH = /^[a-zA-Z_][a-zA-Z0-9_]*(?:\.[a-zA-Z_][a-zA-Z0-9_]*)*$/;
const RESERVED_INDEXES = new Set(["by_id", "by_creation_time"]);
const INDEXES_MAX = 32;
const INDEX_FIELDS_MAX = 16;

/** What the official backend would refuse in a schema, in one sentence; null when it is sound. */
export function schemaProblem(schema: SchemaJson): string | null {
  const seen = new Set<string>();
  for (const table of schema.tables) {
    const { tableName } = table;
    if (!IDENTIFIER.test(tableName)) {
      return `The table name ${JSON.stringify(tableName)} must begin with a letter and consist of letters, digits and underscores, at most 64`;
    }
    if (seen.has(tableName)) return `The table ${tableName} is defined twice`;
    seen.add(tableName);
    const problem = indexProblem(table) ?? documentProblem(table.documentType ?? null);
    if (problem !== null) return `Table ${tableName}: ${problem}`;
  }
  return null;
}

function indexProblem(table: SchemaJson["tables"][number]): string | null {
  const database = table.indexes;
  const others = [...(table.searchIndexes ?? []), ...(table.vectorIndexes ?? [])];
  if (database.length > INDEXES_MAX) return `it has ${database.length} indexes (maximum ${INDEXES_MAX})`;
  const names = new Set<string>();
  for (const { indexDescriptor } of [...database, ...others]) {
    if (!IDENTIFIER.test(indexDescriptor))
      return `the index name ${JSON.stringify(indexDescriptor)} is not an identifier`;
    if (RESERVED_INDEXES.has(indexDescriptor)) return `the index name ${indexDescriptor} is reserved`;
    if (names.has(indexDescriptor)) return `the index ${indexDescriptor} is defined twice`;
    names.add(indexDescriptor);
  }
  for (const { indexDescriptor, fields } of database) {
    const wrong = fieldsProblem(fields);
    if (wrong !== null) return `index ${indexDescriptor} ${wrong}`;
  }
  return null;
}

function fieldsProblem(fields: readonly string[]): string | null {
  if (fields.length === 0) return "must have at least one field";
  if (fields.length > INDEX_FIELDS_MAX) return `has ${fields.length} fields (maximum ${INDEX_FIELDS_MAX})`;
  for (const [index, field] of fields.entries()) {
    if (!FIELD_PATH.test(field)) return `has the field ${JSON.stringify(field)}, which is not a field path`;
    if (field === "_id") return "has the field _id; look documents up with db.get()";
    if (fields.indexOf(field) !== index) return `has the field ${field} twice`;
  }
  return null;
}

function documentProblem(type: Validator | null): string | null {
  switch (type?.type) {
    case undefined:
    case "any":
      return null;
    case "object":
      return fieldNamesProblem(type.value);
    case "union":
      return type.value.map(documentProblem).find((problem) => problem !== null) ?? null;
    default:
      return "its validator must be an object, a union of objects or v.any()";
  }
}

function fieldNamesProblem(fields: Record<string, Field>): string | null {
  const reserved = Object.keys(fields).find((name) => name.startsWith("_") || name.startsWith("$"));
  return reserved === undefined ? null : `the field ${reserved} starts with a reserved character`;
}
