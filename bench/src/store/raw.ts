/**
 * `bun raw.ts FILE CALLERS COUNT`: the rows that convex-local writes for one item, written by hand with bun:sqlite. First
 * each with a COMMIT of its own, then as many in one COMMIT as there are callers. Prints one line of JSON.
 */
import { Database } from "bun:sqlite";
import { item } from "./items.ts";

const [file = "", callers = "16", count = "10000"] = process.argv.slice(2);
const indexes = 4;
const encoder = new TextEncoder();
const key = (...values: (string | number)[]) => encoder.encode(values.join("\0"));

const database = new Database(file, { create: true });
database.run("PRAGMA journal_mode = WAL");
database.run("PRAGMA synchronous = FULL");
database.run("PRAGMA locking_mode = EXCLUSIVE");
database.run("PRAGMA cache_size = -65536");
database.run("PRAGMA wal_autocheckpoint = 8192");
database.run(
  "CREATE TABLE docs (doc INTEGER PRIMARY KEY, table_id INTEGER NOT NULL, key BLOB NOT NULL, json TEXT NOT NULL, UNIQUE (table_id, key))",
);
database.run(
  "CREATE TABLE index_rows (index_id INTEGER NOT NULL, key BLOB NOT NULL, doc INTEGER NOT NULL, PRIMARY KEY (index_id, key)) WITHOUT ROWID",
);
const insert = database.prepare("INSERT INTO docs (table_id, key, json) VALUES (?, ?, ?)");
const insertIndexRows = database.prepare(
  `INSERT INTO index_rows (index_id, key, doc) VALUES ${new Array(indexes).fill("(?, ?, ?)").join(", ")}`,
);
const begin = database.prepare("BEGIN IMMEDIATE");
const commit = database.prepare("COMMIT");

let written = 0;
function write(): void {
  const index = written++;
  const document = item(index);
  const id = `jh${index.toString(36).padStart(30, "0")}`;
  const createdMs = 1_700_000_000_000 + index;
  const json = JSON.stringify({ _creationTime: createdMs, _id: id, ...document });
  const doc = Number(insert.run(1, key(id), json).lastInsertRowid);
  const { owner, rank, kind } = document;
  insertIndexRows.run(
    ...[1, key(createdMs, id), doc],
    ...[2, key(owner, rank, createdMs, id), doc],
    ...[3, key(rank, createdMs, id), doc],
    ...[4, key(kind, createdMs, id), doc],
  );
}

function perSecond(rows: number, rowsPerCommit: number): number {
  const startedMs = performance.now();
  for (let done = 0; done < rows; done += rowsPerCommit) {
    begin.run();
    for (let i = 0; i < rowsPerCommit; i++) write();
    commit.run();
  }
  return Math.round(rows / ((performance.now() - startedMs) / 1_000));
}

const onePerCommit = perSecond(Number(count), 1);
const grouped = perSecond(Number(count), Number(callers));
database.close();
process.stdout.write(`${JSON.stringify({ onePerCommit, grouped })}\n`);
