/**
 * The JSON of snapshot exports ("uniform"): what Convex-JSON says, written so that people can read it. An int64 is
 * a JSON number without a fraction, a float64 one with a fraction or an exponent.
 */
import {
  fitsInt64,
  isObject,
  type Json,
  kindOf,
  readFloat64,
  readInt64,
  writeFloat64,
  writeInt64,
} from "../values/wire.ts";

const INTEGER = /^-?\d+$/;

export function toExportText(value: Json): string {
  switch (kindOf(value)) {
    case "int64":
      return String(readInt64(value));
    case "float64": {
      const float = readFloat64(value);
      if (!Number.isFinite(float)) return JSON.stringify(value);
      if (Object.is(float, -0)) return "-0.0";
      const text = String(float);
      return INTEGER.test(text) ? `${text}.0` : text;
    }
    case "array":
      return `[${(value as Json[]).map(toExportText).join(",")}]`;
    case "object":
      return `{${Object.entries(value as Record<string, Json>)
        .map(([key, member]) => `${JSON.stringify(key)}:${toExportText(member)}`)
        .join(",")}}`;
    default:
      return JSON.stringify(value);
  }
}

/** Throws SyntaxError for what is no JSON, and for integers beyond 64 bits. */
export function fromExportText(text: string): Json {
  return JSON.parse(text, (_key, value: unknown, context?: { source: string }) => {
    if (typeof value !== "number") return value;
    const source = context?.source ?? "";
    if (!INTEGER.test(source)) return writeFloat64(value);
    const integer = BigInt(source);
    if (!fitsInt64(integer)) throw new SyntaxError(`${source} does not fit into 64 bits`);
    return writeInt64(integer);
  }) as Json;
}

/** Numbers of files that people write are all float64. Throws SyntaxError. */
export const fromPlainText = (text: string): Json => JSON.parse(text) as Json;

export const isRecord = (value: Json): value is { [key: string]: Json } =>
  isObject(value) && kindOf(value) === "object";
