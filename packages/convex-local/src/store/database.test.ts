import { afterEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ConvexHttpClient } from "convex/browser";
import { makeFunctionReference } from "convex/server";
import { deployFixture } from "../../fixtures/deploy.ts";
import { ROOT } from "../components/component.ts";
import { Transaction } from "../functions/transaction.ts";
import { startConvexLocal } from "../index.ts";
import { databasePath, openDatabase } from "./database.ts";
import { Store } from "./store.ts";

let dataDir = "";
afterEach(() => rmSync(dataDir, { recursive: true, force: true }));

test("a file opens again at once after it was closed, though somebody was in the middle of reading it", () => {
  dataDir = mkdtempSync(join(tmpdir(), "convex-reopen-"));
  for (let round = 0; round < 5; round++) {
    const store = new Store(openDatabase(dataDir, "FULL"), 1);
    const table = store.table(ROOT, "items") ?? store.createTable(ROOT, "items");
    for (let index = 0; index < 3; index++) {
      const transaction = new Transaction(store, () => null, 1);
      transaction.insertInto(table, ROOT, { round, index });
      transaction.commit(1);
    }
    expect(store.count(table)).toBe(3 * (round + 1));
    const documents = store.documents(table);
    documents.next();
    store.sql.raw.prepare("SELECT * FROM docs").iterate().next();
    store.close();
  }
});

test("the folder of a new database is nobody else's to look into", () => {
  dataDir = mkdtempSync(join(tmpdir(), "convex-mode-"));
  const folder = join(dataDir, "convex");
  openDatabase(folder, "OFF").raw.close();
  expect(statSync(folder).mode & 0o777).toBe(0o700);
});

test("a deployment starts again in the same process on the same data", async () => {
  dataDir = mkdtempSync(join(tmpdir(), "convex-reopen-"));
  const send = makeFunctionReference<"mutation">("messages:send");
  const list = makeFunctionReference<"query">("messages:list");
  for (let round = 1; round <= 3; round++) {
    const convex = await startConvexLocal({ dataDir });
    if (round === 1) await deployFixture(convex);
    const client = new ConvexHttpClient(convex.url, { logger: false });
    await client.mutation(send, { author: "again", body: String(round) });
    expect(await client.query(list, { author: "again" })).toHaveLength(round);
    await convex.stop();
  }
}, 120_000);

test("a second process is told that the file is in use", () => {
  dataDir = mkdtempSync(join(tmpdir(), "convex-locked-"));
  const store = new Store(openDatabase(dataDir, "FULL"), 1);
  try {
    const other = Bun.spawnSync(
      [
        process.execPath,
        "-e",
        `new (require("bun:sqlite").Database)(process.argv[1]).run("DELETE FROM docs")`,
        databasePath(dataDir),
      ],
      { stderr: "pipe" },
    );
    expect(other.exitCode).not.toBe(0);
    expect(other.stderr.toString()).toContain("locked");
  } finally {
    store.close();
  }
});

test("the write-ahead log stays within its bound while much is written, and is gone after a stop", () => {
  dataDir = mkdtempSync(join(tmpdir(), "convex-log-"));
  const store = new Store(openDatabase(dataDir, "OFF"), 1);
  const table = store.createTable(ROOT, "items");
  const logBytes = () => statSync(`${databasePath(dataDir)}-wal`).size;
  let largest = 0;
  for (let round = 0; round < 44; round++) {
    const transaction = new Transaction(store, () => null, 1);
    for (let index = 0; index < 16; index++)
      transaction.insertInto(table, ROOT, { text: "x".repeat(60_000) });
    transaction.commit(1);
    largest = Math.max(largest, logBytes());
  }
  expect(largest).toBeGreaterThan(8 * 1024 * 1024);
  expect(largest).toBeLessThan(48 * 1024 * 1024);
  store.close();
  expect(() => logBytes()).toThrow("ENOENT");
}, 120_000);
