import { createHash } from "node:crypto";
import { sortKey } from "../values/sort-key.ts";
import { fieldAt, type Json, type JsonObject } from "../values/wire.ts";
import type { Write } from "./store.ts";

/** What the store asks of a companion. `doc` is the row of the document. */
export type Follower = {
  insert(doc: number, document: JsonObject, writes: Write[]): void;
  update(doc: number, before: JsonObject, after: JsonObject, writes: Write[]): void;
  remove(doc: number, document: JsonObject, writes: Write[]): void;
};

export const DIGEST_BYTES = 16;

/** Stands for the value of a filter field: equal values, and in practice only those, have the same digest. */
export const digestOf = (value: Json | undefined): Buffer =>
  createHash("sha256")
    .update(sortKey([value]))
    .digest()
    .subarray(0, DIGEST_BYTES);

export const filterValues = (fields: readonly string[], document: JsonObject): (Json | undefined)[] =>
  fields.map((field) => fieldAt(document, field));

/** True if a document is found in the same way by all of `fields` after a change. */
export const isSameIn = (fields: readonly string[], before: JsonObject, after: JsonObject): boolean =>
  fields.every((field) => Bun.deepEquals(fieldAt(before, field), fieldAt(after, field)));
