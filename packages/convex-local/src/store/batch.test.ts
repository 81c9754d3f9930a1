import { afterEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ROOT } from "../components/component.ts";
import { Executor } from "../functions/executor.ts";
import { Transaction } from "../functions/transaction.ts";
import { openDatabase } from "./database.ts";
import { Store, type Table, type Write } from "./store.ts";

let opened: { store: Store; dataDir: string } | undefined;
afterEach(() => {
  if (opened === undefined) return;
  opened.store.close();
  rmSync(opened.dataDir, { recursive: true, force: true });
  opened = undefined;
});

const NOW_MS = 1_700_000_000_000;
/** On a busy machine too, what waits together is one batch. */
const UNHURRIED_MS = 60_000;

function open() {
  const dataDir = mkdtempSync(join(tmpdir(), "convex-batch-"));
  const reported: unknown[] = [];
  const store = new Store(openDatabase(dataDir, "NORMAL"), NOW_MS, (error) => reported.push(error));
  const table = store.createTable(ROOT, "items");
  opened = { store, dataDir };
  const told: string[] = [];
  const begin = () => new Transaction(store, () => null, NOW_MS);
  const insert = (transaction: Transaction, name: string) => transaction.insertInto(table, ROOT, { name });
  const commit = (transaction: Transaction, name: string) =>
    transaction.commit(NOW_MS, () => told.push(name));
  return { store, table, told, reported, begin, insert, commit, names: () => namesIn(store, table) };
}

/** In the order of insertion. */
const namesIn = (store: Store, table: Table) =>
  [...store.documents(table)]
    .toSorted((left, right) => Number(left._creationTime) - Number(right._creationTime))
    .map(({ name }) => name);

/** From now on a row in `orphans` makes COMMIT fail, after everything was written. */
function letCommitsFail({ sql: { raw } }: Store): () => void {
  raw.run("PRAGMA foreign_keys = ON");
  raw.run("CREATE TABLE parents (id INTEGER PRIMARY KEY)");
  raw.run("CREATE TABLE orphans (parent INTEGER REFERENCES parents (id) DEFERRABLE INITIALLY DEFERRED)");
  return () => raw.run("INSERT INTO orphans VALUES (1)");
}

test("what has left a batch becomes durable together, without what was taken back", () => {
  const { store, told, begin, insert, commit, names } = open();
  const before = store.ts;
  store.batch.gather();
  for (const name of ["a", "b", "c"]) {
    const transaction = begin();
    insert(transaction, name);
    if (name === "b") transaction.rollback();
    else commit(transaction, name);
  }
  expect(told).toEqual([]);
  expect(store.ts).toBe(before);
  expect(store.newestTs).toBe(before + 2);
  store.batch.close();
  expect(told).toEqual(["a", "c"]);
  expect(store.ts).toBe(before + 2);
  expect(names()).toEqual(["a", "c"]);
});

test("the first of a batch can be taken back like any other", () => {
  const { store, begin, insert, commit, names } = open();
  store.batch.gather();
  const first = begin();
  insert(first, "a");
  first.rollback();
  expect(store.batch.isOpen).toBe(false);
  const second = begin();
  insert(second, "b");
  commit(second, "b");
  store.batch.close();
  expect(names()).toEqual(["b"]);
});

test("a COMMIT that fails leaves nothing of any member, not in memory either", () => {
  const { store, told, begin, insert, commit, names } = open();
  const fail = letCommitsFail(store);
  const before = store.ts;
  const undone: string[] = [];
  store.batch.gather();
  const first = begin();
  insert(first, "a");
  first.afterRollback(() => undone.push("a"));
  commit(first, "a");
  const second = begin();
  second.changeCatalog();
  store.createTable(ROOT, "others");
  second.afterRollback(() => undone.push("b"));
  fail();
  commit(second, "b");

  expect(() => store.batch.close()).toThrow("FOREIGN KEY");
  expect(undone).toEqual(["b", "a"]);
  expect(told).toEqual([]);
  expect(store.ts).toBe(before);
  expect(store.newestTs).toBe(before);
  expect(store.table(ROOT, "others")).toBeUndefined();
  expect(names()).toEqual([]);

  const third = begin();
  insert(third, "c");
  commit(third, "c");
  expect(told).toEqual(["c"]);
  expect(names()).toEqual(["c"]);
});

test("one whose follow-up fails keeps nobody else from being told, and is reported", () => {
  const { store, told, reported, begin, insert, commit, names } = open();
  store.batch.gather();
  for (const name of ["a", "b", "c"]) {
    const transaction = begin();
    insert(transaction, name);
    if (name === "b") {
      transaction.afterCommit(() => {
        throw new Error("its follow-up");
      });
    }
    commit(transaction, name);
  }
  store.batch.close();
  expect(told).toEqual(["a", "b", "c"]);
  expect(reported.map(String)).toEqual(["Error: its follow-up"]);
  expect(names()).toEqual(["a", "b", "c"]);
});

test("mutations that wait together are made durable together, in their order, and told of afterwards", async () => {
  const { store, begin, insert, names } = open();
  const executor = new Executor(store.batch, UNHURRIED_MS);
  const commits = new Set<number>();
  let committed = 0;
  const add = (index: number) =>
    executor.join(async () => {
      const transaction = begin();
      insert(transaction, String(index));
      await Promise.resolve();
      transaction.commit(NOW_MS, () => committed++);
      return transaction;
    });
  const results = Array.from({ length: 20 }, async (_, index) => {
    await add(index);
    expect(committed).toBeGreaterThan(index);
    expect(store.batch.isOpen).toBe(false);
    commits.add(store.ts);
    return index;
  });
  expect(await Promise.all(results)).toEqual(Array.from({ length: 20 }, (_, index) => index));
  expect(commits.size).toBe(1);
  expect(names()).toEqual(Array.from({ length: 20 }, (_, index) => String(index)));
});

test("a query sees what stands before it in the batch, and is told when that is durable", async () => {
  const { store, table, begin, insert } = open();
  const executor = new Executor(store.batch, UNHURRIED_MS);
  const events: string[] = [];
  const write = executor.join(async () => {
    const transaction = begin();
    insert(transaction, "a");
    transaction.commit(NOW_MS, () => events.push("durable"));
  });
  const read = executor.join(async () => {
    events.push("read");
    return { names: namesIn(store, table), ts: store.newestTs };
  });
  void read.then(() => events.push("told"));
  await write;
  expect((await read).names).toEqual(["a"]);
  expect((await read).ts).toBe(store.ts);
  expect(events).toEqual(["read", "durable", "told"]);
});

test("work between batches sees durable data only, and what waits behind it goes on", async () => {
  const { store, begin, insert, commit, names } = open();
  const executor = new Executor(store.batch, UNHURRIED_MS);
  const seen: [boolean, unknown[]][] = [];
  const add = (name: string) =>
    executor.join(async () => {
      const transaction = begin();
      insert(transaction, name);
      commit(transaction, name);
    });
  const look = () => executor.run(async () => seen.push([store.batch.isOpen, names()]));
  await Promise.all([add("a"), look(), add("b"), look()]);
  expect(seen).toEqual([
    [false, ["a", "b"]],
    [false, ["a", "b"]],
  ]);
  // There a commit is durable at once.
  await executor.run(async () => {
    const transaction = begin();
    insert(transaction, "c");
    commit(transaction, "c");
    expect(store.batch.isOpen).toBe(false);
  });
  expect(names()).toEqual(["a", "b", "c"]);
});

test("when a batch is lost, everybody who saw it is told so, and the next one works", async () => {
  const { store, table, told, begin, insert, commit, names } = open();
  const fail = letCommitsFail(store);
  const executor = new Executor(store.batch, UNHURRIED_MS);
  const add = (name: string, ruin = () => {}) =>
    executor.join(async () => {
      const transaction = begin();
      insert(transaction, name);
      ruin();
      commit(transaction, name);
      return name;
    });
  const early = executor.join(async () => namesIn(store, table));
  const results = await Promise.allSettled([
    add("a"),
    add("b", fail),
    executor.join(async () => namesIn(store, table)),
    executor.join(async () => {
      throw new Error("its own error, of a state that never was");
    }),
  ]);
  expect(await early).toEqual([]);
  expect(results.map(({ status }) => status)).toEqual(["rejected", "rejected", "rejected", "rejected"]);
  for (const result of results) expect(String("reason" in result && result.reason)).toContain("FOREIGN KEY");
  expect(names()).toEqual([]);
  expect(await add("c")).toBe("c");
  expect(told).toEqual(["c"]);
});

test("a batch is closed when its time is over, though more are waiting", async () => {
  const { store, begin, insert, commit, told } = open();
  const executor = new Executor(store.batch, 0);
  const states: boolean[] = [];
  const add = (name: string) =>
    executor.join(async () => {
      states.push(store.batch.isOpen);
      const transaction = begin();
      insert(transaction, name);
      commit(transaction, name);
    });
  await Promise.all([add("a"), add("b")]);
  expect(states).toEqual([false, false]);
  expect(told).toEqual(["a", "b"]);
});

test("a batch is closed when it holds enough, though more are waiting", async () => {
  const { store, begin, insert } = open();
  const executor = new Executor(store.batch, UNHURRIED_MS);
  const commits = new Map<number, number>();
  const add = async () => {
    await executor.join(async () => {
      const transaction = begin();
      insert(transaction, "x".repeat(1000));
      transaction.commit(NOW_MS, () => {});
    });
    commits.set(store.ts, (commits.get(store.ts) ?? 0) + 1);
  };
  await Promise.all(Array.from({ length: 1000 }, add));
  expect(commits.size).toBeGreaterThan(3);
  expect(Math.max(...commits.values())).toBeLessThanOrEqual(256);
});

test("random transactions, some taken back, give what a plain list gives", async () => {
  const { store, begin, insert, names } = open();
  const executor = new Executor(store.batch, UNHURRIED_MS);
  const expected: string[] = [];
  const steps = Array.from({ length: 400 }, (_, index) => async () => {
    await executor.join(async () => {
      const transaction = begin();
      const writes: Write[] = transaction.writes as Write[];
      const added = Array.from({ length: index % 4 }, (_, part) => `${index}.${part}`);
      for (const name of added) insert(transaction, name);
      if (index % 3 === 0) await Promise.resolve();
      const savepoint = transaction.savepoint();
      insert(transaction, `${index} nested`);
      if (index % 2 === 0) transaction.rollbackTo(savepoint);
      else transaction.release(savepoint);
      if (index % 5 === 0) {
        transaction.rollback();
        return;
      }
      expect(writes.length).toBe(2 * (added.length + (index % 2)));
      expected.push(...added, ...(index % 2 === 0 ? [] : [`${index} nested`]));
      transaction.commit(NOW_MS);
    });
  });
  await Promise.all(steps.map((step) => step()));
  expect(names()).toEqual(expected);
});
