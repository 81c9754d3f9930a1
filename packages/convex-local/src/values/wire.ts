import { z } from "zod";

/**
 * Convex values as they travel and as they are stored: plain JSON, with one-key objects for what JSON lacks.
 * The engine works on this form throughout, so that a stored document reaches a function without being
 * rebuilt on the way; only user code sees `bigint` and `ArrayBuffer`.
 */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type JsonObject = { [key: string]: Json };

/** Any JSON, for values that `JSON.parse` has just made: looking at every member again would tell nothing. */
export const AnyJson = z.custom<Json>();

/** What a value is, in the order in which types sort. */
export type Kind =
  | "undefined"
  | "null"
  | "int64"
  | "float64"
  | "boolean"
  | "string"
  | "bytes"
  | "array"
  | "object";

export const isObject = (value: Json | undefined): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** The key of `{"$integer": …}` and its like, or undefined for an ordinary object. */
export function specialKey(value: JsonObject): string | undefined {
  let found: string | undefined;
  for (const key in value) {
    if (found !== undefined || key.charCodeAt(0) !== 36 /* $ */) return undefined;
    found = key;
  }
  return found;
}

export function kindOf(value: Json | undefined): Kind {
  if (value === undefined) return "undefined";
  if (value === null) return "null";
  if (typeof value === "number") return "float64";
  if (typeof value === "boolean") return "boolean";
  if (typeof value === "string") return "string";
  if (Array.isArray(value)) return "array";
  switch (specialKey(value)) {
    case "$integer":
    case "$commitTs":
      return "int64";
    case "$float":
      return "float64";
    case "$bytes":
      return "bytes";
    case "$undefined":
      return "undefined";
    default:
      return "object";
  }
}

const special = (value: Json, key: string): string => {
  const payload = isObject(value) ? value[key] : undefined;
  if (typeof payload !== "string") throw new Error(`Malformed ${key} value`);
  return payload;
};

export const readBytes = (value: Json): Uint8Array => Buffer.from(special(value, "$bytes"), "base64");

/** An unresolved commit timestamp counts as this. */
const INT64_MAX = 2n ** 63n - 1n;
const INT64_MIN = -(2n ** 63n);

export const fitsInt64 = (value: bigint): boolean => value >= INT64_MIN && value <= INT64_MAX;

export function readInt64(value: Json): bigint {
  if (isObject(value) && value.$commitTs === null) return INT64_MAX;
  const bytes = Buffer.from(special(value, "$integer"), "base64");
  if (bytes.byteLength !== 8) throw new Error(`Malformed $integer value: ${bytes.byteLength} bytes, not 8`);
  return bytes.readBigInt64LE(0);
}

export function writeInt64(value: bigint): Json {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64LE(value);
  return { $integer: bytes.toString("base64") };
}

export function readFloat64(value: Json): number {
  if (typeof value === "number") return value;
  const bytes = Buffer.from(special(value, "$float"), "base64");
  if (bytes.byteLength !== 8) throw new Error(`Malformed $float value: ${bytes.byteLength} bytes, not 8`);
  return bytes.readDoubleLE(0);
}

export function writeFloat64(value: number): Json {
  if (Number.isFinite(value) && !Object.is(value, -0)) return value;
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleLE(value);
  return { $float: bytes.toString("base64") };
}

/** The value at a dotted field path, undefined when any step is missing. */
export function fieldAt(document: JsonObject, path: string): Json | undefined {
  if (!path.includes(".")) return document[path];
  let value: Json | undefined = document;
  for (const step of path.split(".")) {
    if (!isObject(value) || kindOf(value) !== "object") return undefined;
    value = value[step];
  }
  return value;
}

/** How a value reads in an error message; cut at 1,000 characters. */
export function describe(value: Json | undefined): string {
  const text = render(value);
  return text.length > 1000 ? `${text.slice(0, 1000)}…` : text;
}

function render(value: Json | undefined): string {
  switch (kindOf(value)) {
    case "undefined":
      return "undefined";
    case "int64":
      return `${readInt64(value as Json)}n`;
    case "float64": {
      const float = readFloat64(value as Json);
      return Object.is(float, -0) ? "-0.0" : Number.isInteger(float) ? `${float}.0` : String(float);
    }
    case "bytes":
      return `Bytes(${readBytes(value as Json).byteLength})`;
    case "array":
      return `[${(value as Json[]).map(render).join(", ")}]`;
    case "object":
      return `{${Object.entries(value as JsonObject)
        .map(([key, member]) => `${key}: ${render(member)}`)
        .join(", ")}}`;
    default:
      return JSON.stringify(value);
  }
}
