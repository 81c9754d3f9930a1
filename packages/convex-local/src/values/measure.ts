import { type Json, type JsonObject, kindOf, readBytes, readFloat64, readInt64, specialKey } from "./wire.ts";

/** Bounds of one value, as the official backend has them. */
const ARRAY_LENGTH_MAX = 8192;
const OBJECT_FIELDS_MAX = 1024;
const FIELD_NAME_CHARS_MAX = 1024;

/** Thrown for what is not a Convex value; the message names the place. */
export class InvalidValue extends Error {}

/**
 * The size of a value in bytes as Convex counts it, after checking that it is one: field names, special forms,
 * lengths and nesting. Throws {@link InvalidValue}.
 */
export function measure(value: Json, depthMax: number): number {
  const bytes = sizeOf(value, depthMax);
  return bytes === undefined ? measureAt(value, depthMax, "") : bytes;
}

/** The size of ordinary values, which nearly all are; undefined for those that have to be looked at closely. */
function sizeOf(value: Json, depthMax: number): number | undefined {
  if (value === undefined || depthMax < 0) return undefined;
  if (typeof value === "string") return 2 + Buffer.byteLength(value);
  if (typeof value === "number") return 9;
  if (typeof value === "boolean" || value === null) return 1;
  let bytes = 2;
  if (Array.isArray(value)) {
    if (value.length > ARRAY_LENGTH_MAX) return undefined;
    for (const element of value) {
      const size = sizeOf(element, depthMax - 1);
      if (size === undefined) return undefined;
      bytes += size;
    }
    return bytes;
  }
  let fields = 0;
  for (const name in value) {
    if (!PLAIN_NAME.test(name)) return undefined;
    const size = sizeOf(value[name] as Json, depthMax - 1);
    if (size === undefined) return undefined;
    bytes += name.length + 1 + size;
    fields++;
  }
  return fields > OBJECT_FIELDS_MAX ? undefined : bytes;
}

/** Names that need no closer look; `$` begins the special forms. */
const PLAIN_NAME = /^[\w]{1,64}$/;

/** The same, place by place, for an error that names the place. */
function measureAt(value: Json, depthMax: number, path: string): number {
  if (depthMax < 0) throw new InvalidValue(`Value is too nested${at(path)}`);
  switch (kindOf(value)) {
    case "null":
    case "boolean":
      return 1;
    case "float64":
      readSpecial(() => readFloat64(value), path);
      return 9;
    case "int64":
      readSpecial(() => readInt64(value), path);
      return 9;
    case "string":
      return 2 + Buffer.byteLength(value as string);
    case "bytes":
      return 2 + readSpecial(() => readBytes(value), path).byteLength;
    case "array":
      return measureArray(value as Json[], depthMax, path);
    case "object":
      return measureObject(value as JsonObject, depthMax, path);
    case "undefined":
      throw new InvalidValue(`undefined is not a Convex value${at(path)}`);
  }
}

function measureArray(value: Json[], depthMax: number, path: string): number {
  if (value.length > ARRAY_LENGTH_MAX) {
    throw new InvalidValue(
      `Array length is too long (${value.length} > maximum length ${ARRAY_LENGTH_MAX})${at(path)}`,
    );
  }
  let bytes = 2;
  for (const [index, element] of value.entries())
    bytes += measureAt(element, depthMax - 1, `${path}[${index}]`);
  return bytes;
}

function measureObject(value: JsonObject, depthMax: number, path: string): number {
  const key = specialKey(value);
  if (key !== undefined)
    throw new InvalidValue(`Field name ${key} starts with '$', which is reserved${at(path)}`);
  let bytes = 2;
  let fields = 0;
  for (const name in value) {
    checkFieldName(name, path);
    bytes += name.length + 1 + measureAt(value[name] as Json, depthMax - 1, `${path}.${name}`);
    fields++;
  }
  if (fields > OBJECT_FIELDS_MAX) {
    throw new InvalidValue(`Object has too many fields (${fields} > ${OBJECT_FIELDS_MAX})${at(path)}`);
  }
  return bytes;
}

function checkFieldName(name: string, path: string): void {
  if (name.length > FIELD_NAME_CHARS_MAX) throw new InvalidValue(`Field name is too long${at(path)}`);
  if (name.startsWith("$")) {
    throw new InvalidValue(`Field name ${name} starts with '$', which is reserved${at(path)}`);
  }
  for (let i = 0; i < name.length; i++) {
    const code = name.charCodeAt(i);
    if (code < 32 || code >= 127) {
      throw new InvalidValue(
        `Field name ${JSON.stringify(name)} has a character outside printable ASCII${at(path)}`,
      );
    }
  }
}

function readSpecial<T>(read: () => T, path: string): T {
  try {
    return read();
  } catch (error) {
    throw new InvalidValue(`${(error as Error).message}${at(path)}`);
  }
}

const at = (path: string) => (path === "" ? "" : ` (at ${path.replace(/^\./, "")})`);

/** What no text of a small value can do: hold more brackets than levels, or more members than an object may have. */
const LENGTH_WITHOUT_LIMITS = 4 * OBJECT_FIELDS_MAX;

/** Whether the JSON text of a value is so plain that it keeps all limits of values without being measured. */
export function isPlainlySmall(json: string, depthMax: number): boolean {
  if (json.length > LENGTH_WITHOUT_LIMITS) return false;
  let brackets = 0;
  for (const bracket of ["{", "["]) {
    for (let at = json.indexOf(bracket); at >= 0; at = json.indexOf(bracket, at + 1)) {
      if (++brackets > depthMax) return false;
    }
  }
  return true;
}
