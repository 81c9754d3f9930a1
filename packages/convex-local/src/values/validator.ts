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

/** Whether a text is an id of the named table; `tableOf` tells for messages whose id it is, if anybody's. */
export type IsId = ((tableName: string, id: string) => boolean) & {
  tableOf?: (id: string) => string | undefined;
};

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
export function mismatch(validator: Validator, value: Json | undefined, isId: IsId): string | null {
  return checkOf(validator)(value, isId) ? null : mismatchAt(validator, value, isId, "");
}

type Check = (value: Json | undefined, isId: IsId) => boolean;
/** Validators as functions: made once for each, and asked about every call and every document. */
const checks = new WeakMap<Validator, Check>();

function checkOf(validator: Validator): Check {
  let check = checks.get(validator);
  if (check === undefined) {
    check = compileCheck(validator);
    checks.set(validator, check);
  }
  return check;
}

function compileCheck(validator: Validator): Check {
  switch (validator.type) {
    case "any":
      return (value) => value !== undefined;
    case "string":
      return (value) => typeof value === "string";
    case "boolean":
      return (value) => typeof value === "boolean";
    case "null":
      return (value) => value === null;
    case "number":
      return (value) => typeof value === "number" || kindOf(value) === "float64";
    case "id": {
      const { tableName } = validator;
      return (value, isId) => typeof value === "string" && isId(tableName, value);
    }
    case "literal": {
      const { value: literal } = validator;
      return typeof literal === "object"
        ? (value) => value !== undefined && compareValues(literal, value) === 0
        : (value) => value === literal;
    }
    case "array": {
      const isElement = checkOf(validator.value);
      return (value, isId) => Array.isArray(value) && value.every((element) => isElement(element, isId));
    }
    case "object":
      return compileObject(validator);
    case "union": {
      const members = validator.value.map(checkOf);
      return (value, isId) => members.some((isMember) => isMember(value, isId));
    }
    default:
      // bigint, bytes and records are rare.
      return (value, isId) => mismatchAt(validator, value, isId, "") === null;
  }
}

function compileObject(validator: Validator & { type: "object" }): Check {
  const fields = Object.entries(validator.value).map(([name, { fieldType, optional }]) => ({
    name,
    optional,
    isValid: checkOf(fieldType),
  }));
  return (value, isId) => {
    if (!isObject(value)) return false;
    let present = 0;
    for (const { name, optional, isValid } of fields) {
      const member = Object.hasOwn(value, name) ? value[name] : undefined;
      if (member === undefined) {
        if (!optional) return false;
        continue;
      }
      if (!isValid(member, isId)) return false;
      present++;
    }
    // As many as were looked at: no other field, and no special form either.
    for (const _ in value) if (--present < 0) return false;
    return present === 0;
  };
}

/** The same as `mismatch` with the place, for the message. */
function mismatchAt(validator: Validator, value: Json | undefined, isId: IsId, path: string): string | null {
  switch (validator.type) {
    case "any":
      return value === undefined ? wrong(validator, value, path) : null;
    case "literal":
      return value !== undefined && compareValues(validator.value, value) === 0
        ? null
        : `\`${describe(value)}\` does not match literal validator \`${printValidator(validator)}\`.${at(path)}`;
    case "id":
      return typeof value === "string" && isId(validator.tableName, value)
        ? null
        : wrongId(validator, value, isId, path);
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
    const found = mismatchAt(element, member, isId, `${path}[${index}]`);
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
        `Object is missing the required field \`${name}\`. Consider wrapping the field validator in ` +
        `\`v.optional(...)\` if this is expected.${context("Object", validator, value, path)}`
      );
    }
    const found = mismatchAt(field.fieldType, member, isId, `${path}.${name}`);
    if (found !== null) return found;
  }
  for (const name in value) {
    if (!Object.hasOwn(validator.value, name)) {
      return (
        `Object contains extra field \`${name}\` that is not in the validator.` +
        context("Object", validator, value, path)
      );
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
      mismatchAt(validator.keys, name, isId, `${path}.${name}`) ??
      mismatchAt(validator.values.fieldType, member, isId, `${path}.${name}`);
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
  const found = validator.value.map((member) => mismatchAt(member, value, isId, path));
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
    literals.every(([name, field]) => mismatchAt(field.fieldType, value[name], () => true, "") === null)
  );
};

const wrong = (validator: Validator, value: Json | undefined, path: string) =>
  `Value does not match validator.${context("Value", validator, value, path)}`;

function wrongId(
  validator: Validator & { type: "id" },
  value: Json | undefined,
  isId: IsId,
  path: string,
): string {
  const table = typeof value === "string" ? isId.tableOf?.(value) : undefined;
  if (table === undefined) return wrong(validator, value, path);
  const from = table.startsWith("_") ? "a system table" : `table \`${table}\``;
  return (
    `Found ID ${describe(value)} from ${from}, which does not match the table name in validator ` +
    `\`${printValidator(validator)}\`.${at(path)}`
  );
}

const context = (what: "Object" | "Value", validator: Validator, value: Json | undefined, path: string) =>
  `${at(path)}\n\n${what}: ${describe(value)}\nValidator: ${printValidator(validator)}`;

const at = (path: string) => (path === "" ? "" : `\nPath: ${path}`);

/** A validator as a programmer writes it. */
function printValidator(validator: Validator): string {
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
