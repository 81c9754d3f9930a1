import type { Database, Statement } from "bun:sqlite";
import { digestOf, type Follower, filterValues, isSameIn } from "../store/follower.ts";
import type { Range, Write } from "../store/store.ts";
import type { SearchConfig } from "../store/tables.ts";
import { keyAfterPrefix, sortKey } from "../values/sort-key.ts";
import { fieldAt, type Json, type JsonObject } from "../values/wire.ts";
import { queryTerms, termsOf } from "./terms.ts";

/** Ids of ordinary indexes are far below, so that one number tells what a live query has read. */
const READ_ID_OFFSET = 2 ** 40;

/** A word that is in every document would otherwise have all of them compared. */
const RANKED_MAX = 10_000;

export type Filter = { field: string; value: Json | undefined };
/** A better match has a lower score. */
export type Match = { doc: number; score: number };

/**
 * A full-text index in an FTS5 table of its own. It holds terms only, the text is in the document; values of
 * filter fields are terms of a second column, so that one look-up finds documents that match both.
 */
export class SearchIndex implements Follower {
  readonly kind = "search";
  readonly id: number;
  readonly name: string;
  readonly config: SearchConfig;
  readonly #raw: Database;
  #prepared: ReturnType<typeof prepare> | undefined;

  constructor(raw: Database, id: number, name: string, config: SearchConfig) {
    this.#raw = raw;
    this.id = id;
    this.name = name;
    this.config = config;
  }

  get #statements() {
    this.#prepared ??= prepare(this.#raw, this.#table);
    return this.#prepared;
  }

  get #table(): string {
    return `search_${this.id}`;
  }

  /** What live queries have read, and writes touch, of this index. */
  get readId(): number {
    return READ_ID_OFFSET + this.id;
  }

  create(): void {
    // The terms are made here, so FTS5 only has to split at spaces: its `ascii` does, and keeps other scripts whole.
    // Without `prefix` the beginning of a word would be looked up among all words that begin so, one by one.
    this.#raw.run(
      `CREATE VIRTUAL TABLE ${this.#table} USING fts5(terms, filters, content='', contentless_delete=1, tokenize='ascii', prefix='1 2 3')`,
    );
  }

  drop(): void {
    for (const statement of Object.values(this.#prepared ?? {})) statement.finalize();
    this.#prepared = undefined;
    this.#raw.run(`DROP TABLE ${this.#table}`);
  }

  insert(doc: number, document: JsonObject, writes: Write[]): void {
    const text = fieldAt(document, this.config.searchField);
    if (typeof text !== "string") return;
    const filters = filterValues(this.config.filterFields, document);
    this.#statements.insert.run(doc, termsOf(text).join(" "), filters.map(filterTerm).join(" "));
    writes.push({ indexId: this.readId, key: sortKey(filters) });
  }

  update(doc: number, before: JsonObject, after: JsonObject, writes: Write[]): void {
    const { searchField, filterFields } = this.config;
    if (!isSameIn([searchField, ...filterFields], before, after)) {
      this.remove(doc, before, writes);
      this.insert(doc, after, writes);
    } else if (typeof fieldAt(after, searchField) === "string") {
      // Found as before, but those who have found it get the new document.
      writes.push({ indexId: this.readId, key: sortKey(filterValues(filterFields, after)) });
    }
  }

  remove(doc: number, document: JsonObject, writes: Write[]): void {
    if (typeof fieldAt(document, this.config.searchField) !== "string") return;
    this.#statements.remove.run(doc);
    writes.push({ indexId: this.readId, key: sortKey(filterValues(this.config.filterFields, document)) });
  }

  /** The best of the newest 10,000 matches, newest first among equals. Every filter must hold. */
  find(text: string, filters: readonly Filter[], rowsMax: number): Match[] {
    const { terms, isLastPrefix } = queryTerms(text);
    if (terms.length === 0) return [];
    const any = terms.map((term, index) =>
      isLastPrefix && index === terms.length - 1 ? `"${term}" *` : `"${term}"`,
    );
    const wanted = filters.map(({ field, value }) =>
      filterTerm(value, this.config.filterFields.indexOf(field)),
    );
    const match = [`terms : (${any.join(" OR ")})`, ...wanted.map((term) => `filters : "${term}"`)].join(
      " AND ",
    );
    const oldest = this.#statements.oldestRanked.get(match)?.doc ?? 0;
    return this.#statements.find.all(match, oldest, rowsMax);
  }

  /**
   * The part of the index that a search depends on: documents with the values of its first filter fields. A
   * write elsewhere changes no result, though it may change the order a little.
   */
  readRange(filters: readonly Filter[]): Range {
    const prefix: (Json | undefined)[] = [];
    for (const field of this.config.filterFields) {
      const filter = filters.find((candidate) => candidate.field === field);
      if (filter === undefined) break;
      prefix.push(filter.value);
    }
    const start = sortKey(prefix);
    return { start, end: keyAfterPrefix(start) };
  }

  /** The document in a row, which a match has named. */
  document(doc: number): string | undefined {
    return this.#statements.document.get(doc)?.json;
  }
}

const filterTerm = (value: Json | undefined, field: number) => `f${field}x${digestOf(value).toString("hex")}`;

function prepare(raw: Database, table: string) {
  const insert: Statement<never, [number, string, string]> = raw.prepare(
    `INSERT INTO ${table} (rowid, terms, filters) VALUES (?, ?, ?)`,
  );
  const remove: Statement<never, [number]> = raw.prepare(`DELETE FROM ${table} WHERE rowid = ?`);
  const oldestRanked: Statement<{ doc: number }, [string]> = raw.prepare(
    `SELECT rowid AS doc FROM ${table} WHERE ${table} MATCH ? ORDER BY rowid DESC LIMIT 1 OFFSET ${RANKED_MAX - 1}`,
  );
  const find: Statement<Match, [string, number, number]> = raw.prepare(
    `SELECT rowid AS doc, bm25(${table}, 1.0, 0.0) AS score FROM ${table} WHERE ${table} MATCH ? AND rowid >= ?
     ORDER BY score, rowid DESC LIMIT ?`,
  );
  const document: Statement<{ json: string }, [number]> = raw.prepare("SELECT json FROM docs WHERE doc = ?");
  return { insert, remove, oldestRanked, find, document };
}
