import { isObject, type Json, type JsonObject, kindOf, writeInt64 } from "./wire.ts";

/**
 * `db.vars.commitTs`: a place in a document or a result that gets the timestamp of the commit. Until then it
 * counts as the largest int64, so that what a mutation has just written sorts last.
 */
const PLACEHOLDER = '{"$commitTs":null}';

export const textHoldsCommitTs = (json: string): boolean => json.includes(PLACEHOLDER);

const isPlaceholder = (value: JsonObject) => "$commitTs" in value && kindOf(value) === "int64";

export function holdsCommitTs(value: Json): boolean {
  if (Array.isArray(value)) return value.some(holdsCommitTs);
  if (!isObject(value)) return false;
  return isPlaceholder(value) || Object.values(value).some(holdsCommitTs);
}

/** The timestamp (microseconds since 1970) as functions see it: an int64 of nanoseconds. */
const commitTsValue = (ts: number): Json => writeInt64(BigInt(ts) * 1000n);

export function withCommitTs<T extends Json>(value: T, ts: number): T;
export function withCommitTs(value: Json, ts: number): Json {
  if (Array.isArray(value)) return value.map((member) => withCommitTs(member, ts));
  if (!isObject(value)) return value;
  if (isPlaceholder(value)) return commitTsValue(ts);
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, withCommitTs(member, ts)]));
}

/** The same in JSON text. Inside a string the quotes would be escaped, so only real placeholders are found. */
export const textWithCommitTs = (json: string, ts: number): string =>
  json.replaceAll(PLACEHOLDER, JSON.stringify(commitTsValue(ts)));
