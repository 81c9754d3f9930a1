import type { Database, Statement } from "bun:sqlite";
import { UserError } from "../functions/errors.ts";
import { digestOf, type Follower, filterValues, isSameIn } from "../store/follower.ts";
import type { Write } from "../store/store.ts";
import type { VectorConfig } from "../store/tables.ts";
import { fieldAt, type Json, type JsonObject } from "../values/wire.ts";
import { hasNativeVectors, type Near, nativeNearest, scannedNearest } from "./nearest.ts";

export type Condition = { field: string; value: Json | undefined };

/** Vectors of documents as 32-bit floats in a table of their own, with the digests of their filter fields. */
export class VectorIndex implements Follower {
  readonly kind = "vector";
  readonly id: number;
  readonly name: string;
  readonly config: VectorConfig;
  readonly #raw: Database;
  #prepared: ReturnType<typeof prepare> | undefined;

  constructor(raw: Database, id: number, name: string, config: VectorConfig) {
    this.#raw = raw;
    this.id = id;
    this.name = name;
    this.config = config;
  }

  get table(): string {
    return `vectors_${this.id}`;
  }

  get #statements() {
    this.#prepared ??= prepare(this.#raw, this.table);
    return this.#prepared;
  }

  create(): void {
    this.#raw.run(
      `CREATE TABLE ${this.table} (doc INTEGER PRIMARY KEY, filters BLOB NOT NULL, vector BLOB NOT NULL)`,
    );
  }

  drop(): void {
    for (const statement of Object.values(this.#prepared ?? {})) statement.finalize();
    this.#prepared = undefined;
    this.#raw.run(`DROP TABLE ${this.table}`);
  }

  /** Throws UserError for a vector that does not fit; a document without one is not in the index. */
  check(document: JsonObject): void {
    this.#vectorOf(document);
  }

  insert(doc: number, document: JsonObject): void {
    const vector = this.#vectorOf(document);
    if (vector === null) return;
    const filters = Buffer.concat(filterValues(this.config.filterFields, document).map(digestOf));
    this.#statements.insert.run(doc, filters, bytesOf(vector));
  }

  update(doc: number, before: JsonObject, after: JsonObject, _writes: Write[]): void {
    const { vectorField, filterFields } = this.config;
    if (isSameIn([vectorField, ...filterFields], before, after)) return;
    this.remove(doc);
    this.insert(doc, after);
  }

  remove(doc: number): void {
    this.#statements.remove.run(doc);
  }

  /** The documents with the most similar vectors; with conditions, of those where one of them holds. */
  nearest(vector: readonly number[], conditions: readonly Condition[] | null, rowsMax: number): Near[] {
    const { dimensions, filterFields } = this.config;
    if (vector.length !== dimensions) {
      throw new UserError(
        "InvalidVector",
        `Index ${this.name} has vectors with ${dimensions} dimensions, the one searched for has ${vector.length}`,
      );
    }
    const wanted = Float32Array.from(vector);
    const filters =
      conditions?.map(({ field, value }) => ({ at: filterFields.indexOf(field), digest: digestOf(value) })) ??
      null;
    const find = hasNativeVectors(this.#raw) ? nativeNearest : scannedNearest;
    return find(this.#raw, this.table, wanted, filters, rowsMax);
  }

  /** The id of the document in a row. */
  documentId(doc: number): string | undefined {
    return this.#statements.documentId.get(doc)?.id;
  }

  #vectorOf(document: JsonObject): Float32Array | null {
    const value = fieldAt(document, this.config.vectorField);
    if (!Array.isArray(value)) return null;
    const { dimensions, vectorField } = this.config;
    if (value.length !== dimensions || !value.every((item) => typeof item === "number")) {
      throw new UserError(
        "InvalidVector",
        `Index ${this.name} expects "${vectorField}" to be ${dimensions} finite numbers, ` +
          `this document has ${value.length === dimensions ? "something else among them" : value.length}`,
      );
    }
    return Float32Array.from(value as number[]);
  }
}

const bytesOf = ({ buffer, byteOffset, byteLength }: Float32Array) =>
  new Uint8Array(buffer, byteOffset, byteLength);

function prepare(raw: Database, table: string) {
  const insert: Statement<never, [number, Uint8Array, Uint8Array]> = raw.prepare(
    `INSERT INTO ${table} (doc, filters, vector) VALUES (?, ?, ?)`,
  );
  const remove: Statement<never, [number]> = raw.prepare(`DELETE FROM ${table} WHERE doc = ?`);
  const documentId: Statement<{ id: string }, [number]> = raw.prepare(
    "SELECT json ->> '$._id' AS id FROM docs WHERE doc = ?",
  );
  return { insert, remove, documentId };
}
