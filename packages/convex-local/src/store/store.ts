import type { Statement } from "bun:sqlite";
import { eq } from "drizzle-orm";
import { decodeId } from "../values/id.ts";
import { compareKeys, type SortKey, sortKey } from "../values/sort-key.ts";
import { fieldAt, type Json, type JsonObject } from "../values/wire.ts";
import { Batch } from "./batch.ts";
import { type Companion, openCompanion } from "./companion.ts";
import type { Sql } from "./database.ts";
import {
  type CompanionConfig,
  CompanionRow,
  companions,
  docs,
  IndexRow,
  indexes,
  indexRows,
  meta,
  TableRow,
  tables,
} from "./tables.ts";

/** A Convex table with its indexes. */
export type Table = {
  id: number;
  component: string;
  name: string;
  number: number;
  indexes: Index[];
  companions: Companion[];
};
/** `fields` without the trailing `_creationTime` and `_id`, which every index has. */
export type Index = { id: number; name: string; fields: string[] };

/** A document's text, and the row that holds it. */
export type Stored = { doc: number; json: string };
export type Row = { key: SortKey; json: string };
export type Order = "asc" | "desc";
/** Half-open: from `start`, up to but not including `end`; no `end` means to the last row. */
export type Range = { start: SortKey; end: SortKey | undefined };

/** Touched keys of one index: what live queries compare their reads with. */
export type Write = {
  indexId: number;
  key: SortKey;
  /** With the key of a document itself: what it was before, null where there was none. */
  before?: JsonObject | null;
};

const FIRST_USER_TABLE_NUMBER = 10001;
/** One unit in the last place of a present-day millisecond count. */
const CREATION_STEP_MS = 2 ** -12;
const SYSTEM_TABLE_NUMBERS: Record<string, number> = { _scheduled_functions: 1, _storage: 2 };

/** Reads of tables that do not exist yet are recorded here; creating the table writes here. */
export const CATALOG_INDEX_ID = 0;
/** `by_id` of a table, which is the `docs` table itself. */
export const byIdIndexId = (table: Table): number => -table.id;

/**
 * Documents and their index rows. Knows nothing of functions, limits or validation, and never opens a
 * transaction by itself: `transaction.ts` and the push do.
 */
export class Store {
  readonly sql: Sql;
  /** The SQL transaction in which mutations write. */
  readonly batch: Batch;
  readonly #tables = new Map<string, Table>();
  readonly #tablesByNumber = new Map<string, Table>();
  #hot: HotStatements;
  /** By how many rows they insert; a table has at most some dozens of indexes. */
  readonly #indexRowInserts: Statement<never, (number | SortKey)[]>[] = [];
  #durableTs: number;
  #newestTs: number;
  #lastCreationMs = 0;

  /** `report` is told of what goes wrong after a commit, when nobody can be told any more. */
  constructor(database: Sql, nowMs: number, report: (error: unknown) => void = throwLater) {
    this.sql = database;
    this.#hot = prepareHot(database);
    this.reload();
    const stored = Number(this.meta("ts") ?? 0);
    this.#durableTs = Math.max(stored, Math.floor(nowMs * 1000));
    this.#newestTs = this.#durableTs;
    this.batch = new Batch(database.raw, {
      seal: () => this.#hot.setTs.run(String(this.#newestTs)),
      ended: (isDurable) => {
        if (isDurable) {
          this.#durableTs = this.#newestTs;
          return;
        }
        this.#newestTs = this.#durableTs;
        this.reload();
      },
      failed: report,
    });
  }

  /**
   * The timestamp of the newest durable commit, in microseconds since 1970 (a double holds them exactly; the wire
   * has nanoseconds). Never falls, over restarts and clock changes too.
   */
  get ts(): number {
    return this.#durableTs;
  }

  /** The timestamp of what a transaction reads now: in an open batch, of the newest member that has left. */
  get newestTs(): number {
    return this.#newestTs;
  }

  /** The timestamp for one more member of the open batch, which writes the newest of them before its COMMIT. */
  takeTs(nowMs: number): number {
    this.#newestTs = Math.max(this.#newestTs + 1, Math.floor(nowMs * 1000));
    return this.#newestTs;
  }

  /** A creation time for one more document: never twice the same, so that insertion order is kept. */
  nextCreationMs(nowMs: number): number {
    this.#lastCreationMs = Math.max(nowMs, this.#lastCreationMs + CREATION_STEP_MS);
    return this.#lastCreationMs;
  }

  meta(key: string): string | undefined {
    return this.sql.orm.select().from(meta).where(eq(meta.key, key)).get()?.value;
  }

  setMeta(key: string, value: string): void {
    this.sql.orm
      .insert(meta)
      .values({ key, value })
      .onConflictDoUpdate({ target: meta.key, set: { value } })
      .run();
  }

  /** Reads the catalogue again: after start, and after a transaction that created tables was rolled back. */
  reload(): void {
    this.#tables.clear();
    this.#tablesByNumber.clear();
    const byId = new Map<number, Table>();
    for (const row of this.sql.orm.select().from(tables).all()) {
      const table: Table = { ...TableRow.parse(row), indexes: [], companions: [] };
      byId.set(table.id, table);
      this.#keep(table);
    }
    for (const row of this.sql.orm.select().from(indexes).orderBy(indexes.id).all()) {
      const { id, tableId, name, fields } = IndexRow.parse(row);
      byId.get(tableId)?.indexes.push({ id, name, fields });
    }
    for (const row of this.sql.orm.select().from(companions).orderBy(companions.id).all()) {
      const companion = CompanionRow.parse(row);
      byId.get(companion.tableId)?.companions.push(openCompanion(this.sql.raw, companion));
    }
  }

  #keep(table: Table): void {
    this.#tables.set(tableKey(table.component, table.name), table);
    this.#tablesByNumber.set(tableKey(table.component, table.number), table);
  }

  table(component: string, name: string): Table | undefined {
    return this.#tables.get(tableKey(component, name));
  }

  allTables(): Table[] {
    return [...this.#tables.values()];
  }

  tables(component: string): Table[] {
    return [...this.#tables.values()].filter((table) => table.component === component);
  }

  tableByNumber(component: string, number: number): Table | undefined {
    return this.#tablesByNumber.get(tableKey(component, number));
  }

  /** "table/id" for a person who reads a log; with the component in front, when it is not the app's. */
  describeId(id: string): string {
    const number = decodeId(id)?.tableNumber;
    const table = [...this.#tables.values()].find((candidate) => candidate.number === number);
    return table === undefined
      ? id
      : `${table.component === "" ? "" : `${table.component}/`}${table.name}/${id}`;
  }

  createTable(component: string, name: string): Table {
    const used = this.tables(component).map((table) => table.number);
    const number =
      SYSTEM_TABLE_NUMBERS[name] ??
      Math.max(FIRST_USER_TABLE_NUMBER - 1, ...used.filter((n) => n > 10000)) + 1;
    const { id } = this.sql.orm
      .insert(tables)
      .values({ component, name, number })
      .returning({ id: tables.id })
      .get();
    const table: Table = { id, component, name, number, indexes: [], companions: [] };
    this.#keep(table);
    this.createIndex(table, "by_creation_time", []);
    return table;
  }

  /** Adds an index and fills it from the documents that are there. */
  createIndex(table: Table, name: string, fields: string[]): Index {
    const { id } = this.sql.orm
      .insert(indexes)
      .values({ tableId: table.id, name, fields: JSON.stringify(fields) })
      .returning({ id: indexes.id })
      .get();
    const index: Index = { id, name, fields };
    table.indexes.push(index);
    for (const { doc, json } of this.#hot.tableDocs.iterate(table.id)) {
      this.#hot.insertIndexRow.run(id, indexKey(index, JSON.parse(json)), doc);
    }
    return index;
  }

  dropIndex(table: Table, index: Index): void {
    this.sql.orm.delete(indexRows).where(eq(indexRows.indexId, index.id)).run();
    this.sql.orm.delete(indexes).where(eq(indexes.id, index.id)).run();
    table.indexes = table.indexes.filter((other) => other !== index);
  }

  /** Adds a full-text or vector index and fills it. Throws UserError for a document that does not fit. */
  createCompanion(table: Table, name: string, config: CompanionConfig): void {
    const row = this.sql.orm
      .insert(companions)
      .values({ tableId: table.id, name, config: JSON.stringify(config) })
      .returning()
      .get();
    const companion = openCompanion(this.sql.raw, CompanionRow.parse(row));
    companion.create();
    table.companions.push(companion);
    for (const { doc, json } of this.#hot.tableDocs.iterate(table.id)) {
      companion.insert(doc, JSON.parse(json) as JsonObject, []);
    }
  }

  dropCompanion(table: Table, companion: Companion): void {
    companion.drop();
    this.sql.orm.delete(companions).where(eq(companions.id, companion.id)).run();
    table.companions = table.companions.filter((other) => other !== companion);
  }

  /** Removes all documents of a table. */
  clearTable(table: Table): void {
    for (const index of table.indexes) {
      this.sql.orm.delete(indexRows).where(eq(indexRows.indexId, index.id)).run();
    }
    for (const companion of table.companions) {
      companion.drop();
      companion.create();
    }
    this.sql.orm.delete(docs).where(eq(docs.tableId, table.id)).run();
  }

  dropTable(table: Table): void {
    this.clearTable(table);
    for (const index of table.indexes) this.dropIndex(table, index);
    for (const companion of table.companions) this.dropCompanion(table, companion);
    this.sql.orm.delete(tables).where(eq(tables.id, table.id)).run();
    this.reload();
  }

  /** Gives tables of one component other numbers, which ids of new documents have. Throws when two would be the same. */
  renumber(numbers: ReadonlyMap<Table, number>): void {
    const set = (table: Table, number: number) =>
      this.sql.orm.update(tables).set({ number }).where(eq(tables.id, table.id)).run();
    // Two tables may change places: no number is given away before all are free.
    for (const table of numbers.keys()) set(table, -table.id);
    for (const [table, number] of numbers) set(table, number);
    this.reload();
  }

  count(table: Table): number {
    return this.#hot.count.get(table.id)?.count ?? 0;
  }

  get(table: Table, key: SortKey): Stored | undefined {
    return this.#hot.get.get(table.id, key) ?? undefined;
  }

  insert(table: Table, key: SortKey, document: JsonObject, writes: Write[]): void {
    const doc = Number(this.#hot.insert.run(table.id, key, JSON.stringify(document)).lastInsertRowid);
    writes.push({ indexId: byIdIndexId(table), key, before: null });
    for (const companion of table.companions) companion.insert(doc, document, writes);
    if (table.indexes.length === 0) return;
    const values: (number | SortKey)[] = [];
    for (const index of table.indexes) {
      const row = indexKey(index, document);
      values.push(index.id, row, doc);
      writes.push({ indexId: index.id, key: row });
    }
    this.#insertIndexRows(table.indexes.length).run(...values);
  }

  /** One statement for all index rows of a document: a call costs more than the row that it writes. */
  #insertIndexRows(rows: number): Statement<never, (number | SortKey)[]> {
    this.#indexRowInserts[rows] ??= this.sql.raw.prepare(
      `INSERT INTO index_rows (index_id, key, doc) VALUES ${new Array(rows).fill("(?, ?, ?)").join(", ")}`,
    );
    return this.#indexRowInserts[rows];
  }

  /** `doc` is the row that `get` has found. */
  update(
    table: Table,
    { doc }: Stored,
    key: SortKey,
    before: JsonObject,
    after: JsonObject,
    writes: Write[],
  ): void {
    this.#hot.update.run(JSON.stringify(after), doc);
    writes.push({ indexId: byIdIndexId(table), key, before });
    for (const companion of table.companions) companion.update(doc, before, after, writes);
    for (const index of table.indexes) {
      const from = indexKey(index, before);
      writes.push({ indexId: index.id, key: from });
      // Most writes change none of an index's fields, and most fields are texts and numbers.
      if (index.fields.every((path) => fieldAt(before, path) === fieldAt(after, path))) continue;
      const to = indexKey(index, after);
      if (compareKeys(from, to) === 0) continue;
      this.#hot.moveIndexRow.run(to, index.id, from);
      writes.push({ indexId: index.id, key: to });
    }
  }

  remove(table: Table, { doc }: Stored, key: SortKey, before: JsonObject, writes: Write[]): void {
    for (const companion of table.companions) companion.remove(doc, before, writes);
    this.#hot.delete.run(doc);
    writes.push({ indexId: byIdIndexId(table), key, before });
    for (const index of table.indexes) {
      const row = indexKey(index, before);
      this.#hot.deleteIndexRow.run(index.id, row);
      writes.push({ indexId: index.id, key: row });
    }
  }

  /** Up to `rowsMax` rows of an index; `index` is undefined for `by_id`. */
  scan(table: Table, index: Index | undefined, range: Range, order: Order, rowsMax: number): Row[] {
    const statements = index === undefined ? this.#hot.scanDocs : this.#hot.scanIndex;
    const id = index === undefined ? table.id : index.id;
    return range.end === undefined
      ? statements[order].toEnd.all(id, range.start, rowsMax)
      : statements[order].toKey.all(id, range.start, range.end, rowsMax);
  }

  /** Every document of a table in order of id, one at a time. */
  *documents(table: Table): Generator<JsonObject> {
    for (const { json } of this.#hot.tableDocs.iterate(table.id)) yield JSON.parse(json) as JsonObject;
  }

  close(): void {
    const { raw } = this.sql;
    // One that is still in the middle of its rows would keep the file locked, and another process or a later
    // opening in this one could not read it.
    this.sql.finalizeStatements();
    raw.run("PRAGMA wal_checkpoint(TRUNCATE)");
    raw.close(true);
  }
}

const throwLater = (error: unknown) =>
  queueMicrotask(() => {
    throw error;
  });

const tableKey = (component: string, name: string | number) => `${component}\0${name}`;

function indexKey({ fields }: Index, document: JsonObject): SortKey {
  const values: (Json | undefined)[] = [];
  for (const path of fields) values.push(fieldAt(document, path));
  values.push(document._creationTime, document._id);
  return sortKey(values);
}

type Scan = {
  toEnd: Statement<Row, [number, SortKey, number]>;
  toKey: Statement<Row, [number, SortKey, SortKey, number]>;
};
type HotStatements = ReturnType<typeof prepareHot>;

/**
 * The two hot tables are spoken to directly: a prepared drizzle statement costs about 2 µs more per call. `?+0`
 * hides a number from SQLite's planner, which otherwise plans the statement anew for each value (5 to 10 µs).
 */
function prepareHot({ raw }: Sql) {
  const scan = (select: string, id: string, key: string, order: string): Scan => ({
    toEnd: raw.prepare(`${select} WHERE ${id} = ?+0 AND ${key} >= ? ORDER BY ${key} ${order} LIMIT ?+0`),
    toKey: raw.prepare(
      `${select} WHERE ${id} = ?+0 AND ${key} >= ? AND ${key} < ? ORDER BY ${key} ${order} LIMIT ?+0`,
    ),
  });
  const viaIndex = "SELECT i.key AS key, d.json AS json FROM index_rows i JOIN docs d ON d.doc = i.doc";
  const viaId = "SELECT key, json FROM docs";
  return {
    setTs: raw.prepare<never, [string]>(
      "INSERT INTO meta (key, value) VALUES ('ts', ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
    ),
    count: raw.prepare<{ count: number }, [number]>("SELECT count(*) AS count FROM docs WHERE table_id = ?"),
    get: raw.prepare<Stored, [number, SortKey]>("SELECT doc, json FROM docs WHERE table_id = ? AND key = ?"),
    tableDocs: raw.prepare<{ doc: number; json: string }, [number]>(
      "SELECT doc, json FROM docs WHERE table_id = ? ORDER BY key",
    ),
    insert: raw.prepare<never, [number, SortKey, string]>(
      "INSERT INTO docs (table_id, key, json) VALUES (?, ?, ?)",
    ),
    update: raw.prepare<never, [string, number]>("UPDATE docs SET json = ? WHERE doc = ?"),
    delete: raw.prepare<never, [number]>("DELETE FROM docs WHERE doc = ?"),
    insertIndexRow: raw.prepare<never, [number, SortKey, number]>(
      "INSERT INTO index_rows (index_id, key, doc) VALUES (?, ?, ?)",
    ),
    moveIndexRow: raw.prepare<never, [SortKey, number, SortKey]>(
      "UPDATE index_rows SET key = ? WHERE index_id = ? AND key = ?",
    ),
    deleteIndexRow: raw.prepare<never, [number, SortKey]>(
      "DELETE FROM index_rows WHERE index_id = ? AND key = ?",
    ),
    scanIndex: {
      asc: scan(viaIndex, "i.index_id", "i.key", "ASC"),
      desc: scan(viaIndex, "i.index_id", "i.key", "DESC"),
    },
    scanDocs: {
      asc: scan(viaId, "table_id", "key", "ASC"),
      desc: scan(viaId, "table_id", "key", "DESC"),
    },
  };
}
