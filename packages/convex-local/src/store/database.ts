import { Database, type Statement } from "bun:sqlite";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { type BunSQLiteDatabase, drizzle } from "drizzle-orm/bun-sqlite";
import { getTableConfig, type SQLiteTable } from "drizzle-orm/sqlite-core";
import { all, indexRows } from "./tables.ts";

export type Synchronous = "FULL" | "NORMAL" | "OFF";
export type Sql = {
  raw: Database;
  orm: BunSQLiteDatabase;
  /** Ends all prepared statements, wherever they are; none can be used any more. */
  finalizeStatements(): void;
};

/** Raised by one whenever a table changes shape. */
export const LAYOUT = 3;
/** What makes a file of a layout one of the next. A newer file is refused, not guessed at. */
const UPGRADES: Record<number, string[]> = {
  1: [
    "ALTER TABLE jobs ADD COLUMN target TEXT NOT NULL DEFAULT ''",
    `INSERT INTO meta (key, value) SELECT 'definitions', json_object('', json_object(
       'definition', json('{"definitionType":{"type":"app"},"childComponents":[],"httpMounts":{}}'),
       'schema', json(value),
       'serverVersion', coalesce((SELECT value FROM meta WHERE key = 'serverVersion'), '')
     )) FROM meta WHERE key = 'schema'`,
    "DELETE FROM meta WHERE key IN ('schema', 'serverVersion')",
  ],
  // Files that are there stay in their folder; the new table is for new ones.
  2: [],
};
/** Holds the upper levels of all B-trees and the hot leaves; the rest is in the page cache of the system. */
const PAGE_CACHE_KIB = 64 * 1024;
/**
 * Pages of the write-ahead log before they go into the file. A page that changes often is then written there once:
 * with random keys 32 MiB cost a third less CPU time than SQLite's 4 MiB. It is also what is read again after a crash.
 */
const LOG_PAGES_MAX = 8192;
/** The log is cut to this when one large transaction made it longer; otherwise it is overwritten in place. */
const LOG_BYTES_KEPT_MAX = 64 * 1024 * 1024;

const LOCK_MS_MAX = 2000;

export const databasePath = (dataDir: string): string => join(dataDir, "convex.sqlite3");

/** Opens the database file in `dataDir`, or one in memory, and creates what is missing. */
export function openDatabase(dataDir: string | null, synchronous: Synchronous): Sql {
  // It holds all mail: nobody else on the machine has a look at it.
  if (dataDir !== null) mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const raw = new TrackedDatabase(dataDir === null ? ":memory:" : databasePath(dataDir), { create: true });
  // A process that was killed a moment ago may not have let go of the file yet.
  raw.run(`PRAGMA busy_timeout = ${LOCK_MS_MAX}`);
  raw.run("PRAGMA journal_mode = WAL");
  raw.run(`PRAGMA synchronous = ${synchronous}`);
  raw.run(`PRAGMA cache_size = -${PAGE_CACHE_KIB}`);
  raw.run(`PRAGMA wal_autocheckpoint = ${LOG_PAGES_MAX}`);
  raw.run(`PRAGMA journal_size_limit = ${LOG_BYTES_KEPT_MAX}`);
  // Savepoints keep the pages they may have to restore: in memory rather than in a file of their own.
  raw.run("PRAGMA temp_store = MEMORY");
  // Entering WAL before the lock is taken is what lets `snapshot.ts` give it up for a while.
  raw.query("SELECT count(*) FROM sqlite_schema").get();
  // One process owns the file: a second one would run scheduled functions twice.
  raw.run("PRAGMA locking_mode = EXCLUSIVE");
  const { user_version: layout } = raw.query("PRAGMA user_version").get() as { user_version: number };
  if (layout > LAYOUT) {
    raw.close();
    throw new Error(`The database has layout ${layout}, this program reads layout ${LAYOUT}`);
  }
  raw.transaction(() => {
    for (let from = layout; from > 0 && from < LAYOUT; from++) {
      for (const statement of UPGRADES[from] ?? []) raw.run(statement);
    }
    for (const table of all) raw.run(createTable(table));
    raw.run("CREATE INDEX IF NOT EXISTS ended_jobs_by_end ON ended_jobs (ended_ms)");
    raw.run("CREATE INDEX IF NOT EXISTS requests_by_end ON requests (ended_ms)");
    raw.run("CREATE INDEX IF NOT EXISTS jobs_by_due ON jobs (state, due_ms)");
    raw.run(`PRAGMA user_version = ${LAYOUT}`);
  })();
  return {
    raw,
    orm: drizzle({ client: raw, casing: "snake_case" }),
    finalizeStatements: () => raw.finalizeStatements(),
  };
}

/** Knows its prepared statements as long as somebody uses them: SQLite closes a file only when all of them are gone. */
class TrackedDatabase extends Database {
  readonly #statements = new Set<WeakRef<Statement>>();
  readonly #collected = new FinalizationRegistry((reference: WeakRef<Statement>) =>
    this.#statements.delete(reference),
  );

  override prepare: Database["prepare"] = (sql, ...params) => {
    const statement = super.prepare(sql, ...params);
    const reference = new WeakRef<Statement>(statement);
    this.#statements.add(reference);
    this.#collected.register(statement, reference);
    return statement as never;
  };

  finalizeStatements(): void {
    for (const reference of this.#statements) reference.deref()?.finalize();
    this.#statements.clear();
  }
}

/** The CREATE TABLE statement of a drizzle table. */
function createTable(table: SQLiteTable): string {
  const { name, columns, primaryKeys, uniqueConstraints } = getTableConfig(table);
  const quote = (column: { name: string }) => `"${snakeCase(column.name)}"`;
  const parts = columns.map((column) =>
    [
      quote(column),
      column.getSQLType(),
      column.primary ? "PRIMARY KEY" : "",
      column.notNull ? "NOT NULL" : "",
      column.isUnique ? "UNIQUE" : "",
    ]
      .filter((part) => part !== "")
      .join(" "),
  );
  for (const key of primaryKeys) parts.push(`PRIMARY KEY (${key.columns.map(quote).join(", ")})`);
  for (const key of uniqueConstraints) parts.push(`UNIQUE (${key.columns.map(quote).join(", ")})`);
  const suffix = table === indexRows ? " WITHOUT ROWID" : "";
  return `CREATE TABLE IF NOT EXISTS "${name}" (${parts.join(", ")})${suffix}`;
}

const snakeCase = (name: string) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
