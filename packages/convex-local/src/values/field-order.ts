import { isObject, type Json, type JsonObject } from "./wire.ts";

/**
 * The object with the fields of every level in order of their names, as Convex keeps them. An object that is in
 * order already is returned as it is.
 */
export function withSortedFields(value: JsonObject): JsonObject {
  return isSorted(value) ? value : (sorted(value) as JsonObject);
}

function isSorted(value: Json): boolean {
  if (typeof value !== "object" || value === null) return true;
  if (Array.isArray(value)) return value.every(isSorted);
  let before = "";
  for (const name in value) {
    if (name < before || !isSorted(value[name] as Json)) return false;
    before = name;
  }
  return true;
}

function sorted(value: Json): Json {
  if (Array.isArray(value)) return value.map(sorted);
  if (!isObject(value)) return value;
  const names = Object.keys(value).sort();
  return Object.fromEntries(names.map((name) => [name, sorted(value[name] as Json)]));
}
