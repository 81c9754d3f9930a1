import { type Json, type JsonObject, kindOf, readFloat64, readInt64 } from "./wire.ts";

/** A value as plain JSON for callers that do not know Convex's forms: int64 as decimal text, bytes as base64. */
export function toPlainJson(value: Json): Json {
  switch (kindOf(value)) {
    case "int64":
      return readInt64(value).toString();
    case "float64": {
      const float = readFloat64(value);
      return Number.isFinite(float) ? float : String(float);
    }
    case "bytes":
      return (value as JsonObject).$bytes ?? null;
    case "array":
      return (value as Json[]).map(toPlainJson);
    case "object":
      return Object.fromEntries(
        Object.entries(value as JsonObject).map(([key, member]) => [key, toPlainJson(member)]),
      );
    default:
      return value;
  }
}
