import { compareValues } from "./sort-key.ts";
import { describe, isObject, type Json, type JsonObject, kindOf } from "./wire.ts";

/** A validator as `exportArgs()`, `exportReturns()` and schemas give it. */
export type Validator =
  | { type: "any" | "null" | "number" | "bigint" | "boolean" | "string" | "bytes" | "commitTs" }
  | { type: "literal"; value: Json }
  | { type: "id"; tableName: string }
  | { type: "array"; value: Validator }
  | { type: "object"; value: Record<string, Field> }
  | { type: "record"; keys: Validator; values: Field }
  | { type: "union"; value: Validator[] };
export type Field = { fieldType: Validator; optional: boolean };

/** Whether a text is an id of the named table. */
export type IsId = (tableName: string, id: string) => boolean;

const KINDS = {
  null: "null",
  number: "float64",
  bigint: "int64",
  boolean: "boolean",
  string: "string",
  bytes: "bytes",
  commitTs: "int64",
} as const;

/** What is wrong with a value, in one sentence with the path to it; null when it conforms. */
export function mismatch(
  validator: Validator,
  value: Json | undefined,
  isId: IsId,
  path = "",
): string | null {
  switch (validator.type) {
    case "any":
      return value === undefined ? wrong(validator, value, path) : null;
    case "literal":
      return value !== undefined && compareValues(validator.value, value) === 0
        ? null
        : wrong(validator, value, path);
    case "id":
      if (typeof value !== "string") return wrong(validator, value, path);
      return isId(validator.tableName, value)
        ? null
        : `Found ID ${describe(value)}${at(path)}, which is not an ID of table \`${validator.tableName}\`.`;
    case "array":
      return mismatchOfArray(validator.value, value, isId, path) ?? null;
    case "object":
      return mismatchOfObject(validator, value, isId, path);
    case "record":
      return mismatchOfRecord(validator, value, isId, path);
    case "union":
      return mismatchOfUnion(validator, value, isId, path);
    default:
      return kindOf(value) === KINDS[validator.type] ? null : wrong(validator, value, path);
  }
}

function mismatchOfArray(element: Validator, value: Json | undefined, isId: IsId, path: string) {
  if (!Array.isArray(value)) return wrong({ type: "array", value: element }, value, path);
  for (const [index, member] of value.entries()) {
    const found = mismatch(element, member, isId, `${path}[${index}]`);
    if (found !== null) return found;
  }
  return null;
}

function mismatchOfObject(
  validator: Validator & { type: "object" },
  value: Json | undefined,
  isId: IsId,
  path: string,
): string | null {
  if (!isObject(value) || kindOf(value) !== "object") return wrong(validator, value, path);
  for (const [name, field] of Object.entries(validator.value)) {
    const member = Object.hasOwn(value, name) ? value[name] : undefined;
    if (member === undefined) {
      if (field.optional) continue;
      return (
        `Object${at(path)} is missing the required field \`${name}\`. ` +
        `Consider wrapping the field validator in \`v.optional(...)\` if this is expected.${context(validator, value)}`
      );
    }
    const found = mismatch(field.fieldType, member, isId, `${path}.${name}`);
    if (found !== null) return found;
  }
  for (const name in value) {
    if (!Object.hasOwn(validator.value, name)) {
      return `Object${at(path)} contains extra field \`${name}\` that is not in the validator.${context(validator, value)}`;
    }
  }
  return null;
}

function mismatchOfRecord(
  validator: Validator & { type: "record" },
  value: Json | undefined,
  isId: IsId,
  path: string,
): string | null {
  if (!isObject(value) || kindOf(value) !== "object") return wrong(validator, value, path);
  for (const [name, member] of Object.entries(value)) {
    const found =
      mismatch(validator.keys, name, isId, `${path}.${name}`) ??
      mismatch(validator.values.fieldType, member, isId, `${path}.${name}`);
    if (found !== null) return found;
  }
  return null;
}

function mismatchOfUnion(
  validator: Validator & { type: "union" },
  value: Json | undefined,
  isId: IsId,
  path: string,
): string | null {
  const found = validator.value.map((member) => mismatch(member, value, isId, path));
  if (found.includes(null)) return null;
  // With one object member that shares the discriminating literals, its own complaint says more.
  const candidates = validator.value.flatMap((member, index) =>
    member.type === "object" && isObject(value) && literalsAgree(member.value, value)
      ? [found[index] ?? ""]
      : [],
  );
  const [only] = candidates;
  return candidates.length === 1 && only !== undefined ? only : wrong(validator, value, path);
}

const literalsAgree = (fields: Record<string, Field>, value: JsonObject) => {
  const literals = Object.entries(fields).filter(([, field]) => field.fieldType.type === "literal");
  return (
    literals.length > 0 &&
    literals.every(([name, field]) => mismatch(field.fieldType, value[name], () => true) === null)
  );
};

const wrong = (validator: Validator, value: Json | undefined, path: string) =>
  `Value does not match validator.${path === "" ? "" : `\nPath: ${path}`}${context(validator, value)}`;

const context = (validator: Validator, value: Json | undefined) =>
  `\n\nValue: ${describe(value)}\nValidator: ${printValidator(validator)}`;

const at = (path: string) => (path === "" ? "" : ` at path ${path}`);

/** A validator as a programmer writes it. */
export function printValidator(validator: Validator): string {
  switch (validator.type) {
    case "bigint":
      return "v.int64()";
    case "number":
      return "v.float64()";
    case "literal":
      return `v.literal(${describe(validator.value)})`;
    case "id":
      return `v.id("${validator.tableName}")`;
    case "array":
      return `v.array(${printValidator(validator.value)})`;
    case "object":
      return `v.object({${Object.entries(validator.value)
        .map(([name, field]) => `${name}: ${printField(field)}`)
        .join(", ")}})`;
    case "record":
      return `v.record(${printValidator(validator.keys)}, ${printField(validator.values)})`;
    case "union":
      return `v.union(${validator.value.map(printValidator).join(", ")})`;
    default:
      return `v.${validator.type}()`;
  }
}

const printField = (field: Field) =>
  field.optional ? `v.optional(${printValidator(field.fieldType)})` : printValidator(field.fieldType);
