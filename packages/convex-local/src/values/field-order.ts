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

/** Most writes bring fields in another order at one level or two; what is below and in order stays as it is. */
function sorted(value: Json): Json {
  if (Array.isArray(value)) return value.map((element) => (isSorted(element) ? element : sorted(element)));
  if (!isObject(value)) return value;
  const result: JsonObject = {};
  for (const name of Object.keys(value).sort()) {
    const member = value[name] as Json;
    const ordered = isSorted(member) ? member : sorted(member);
    // An assignment to this one name would change the prototype.
    if (name === "__proto__") Object.defineProperty(result, name, { ...ASSIGNED, value: ordered });
    else result[name] = ordered;
  }
  return result;
}

const ASSIGNED = { configurable: true, enumerable: true, writable: true };
