import { afterAll, expect, test } from "bun:test";
import { compareValues, convexToJson, type Value } from "convex/values";
import { Random } from "../../fixtures/random.ts";
import { Transaction } from "../functions/transaction.ts";
import { openDatabase } from "../store/database.ts";
import { Store } from "../store/store.ts";
import type { Json, JsonObject } from "../values/wire.ts";
import { Cursors, fingerprintOf, type Position } from "./cursor.ts";
import { readPage } from "./page.ts";
import { plan, QueryJson, rangeOf } from "./plan.ts";
import { QueryStream } from "./stream.ts";

const NOW_MS = 1_700_000_000_000;
const stores: Store[] = [];
afterAll(() => {
  for (const store of stores) store.close();
});

function newStore() {
  const store = new Store(openDatabase(null, "OFF"), NOW_MS);
  stores.push(store);
  const table = store.createTable("", "things");
  store.createIndex(table, "by_a_b", ["a", "b"]);
  return { store, table, begin: () => new Transaction(store, () => null, NOW_MS) };
}

type Thing = { _id: string; a?: Value; b?: Value; n: number };
type Bound = {
  type: "Eq" | "Gt" | "Gte" | "Lt" | "Lte";
  fieldPath: "a" | "b";
  value: Json;
  is: Value | undefined;
};

const bounds = (random: Random, value: () => Value | undefined): Bound[] => {
  const bound = (type: Bound["type"], fieldPath: "a" | "b"): Bound => {
    const is = value();
    return {
      type,
      fieldPath,
      is,
      value: is === undefined ? { $undefined: null } : (convexToJson(is) as Json),
    };
  };
  const equal = random.below(3);
  const out = [...(equal > 0 ? [bound("Eq", "a")] : []), ...(equal > 1 ? [bound("Eq", "b")] : [])];
  const next = (["a", "b"] as const)[equal];
  if (next !== undefined && random.below(2) === 0) out.push(bound(random.pick(["Gt", "Gte"]), next));
  if (next !== undefined && random.below(2) === 0) out.push(bound(random.pick(["Lt", "Lte"]), next));
  return random.below(2) === 0 ? out : out.reverse();
};

const holds = ({ type, fieldPath, is }: Bound, thing: Thing) => {
  const order = compareValues(thing[fieldPath], is);
  return { Eq: order === 0, Gt: order > 0, Gte: order >= 0, Lt: order < 0, Lte: order <= 0 }[type];
};

test("any index range, in both orders, with a filter and a limit, gives what a plain search gives", () => {
  const random = new Random(1234);
  const { store, begin } = newStore();
  const values: (Value | undefined)[] = [
    undefined,
    null,
    1n,
    -5n,
    0,
    -0,
    1.5,
    Number.NaN,
    true,
    "",
    "a",
    "a\0",
    [],
    ["a"],
    {},
  ];
  const value = () => random.pick(values);
  const things: Thing[] = [];
  const setup = begin();
  for (let n = 0; n < 300; n++) {
    const [a, b] = [value(), value()];
    const fields = { ...(a === undefined ? {} : { a }), ...(b === undefined ? {} : { b }), n };
    const _id = setup.insert("", "things", convexToJson(fields) as JsonObject);
    things.push({ ...fields, _id });
  }
  setup.commit(NOW_MS);
  // What an index sorts by after its fields is the time of creation, which is the order of insertion here.
  const sorted = things.toSorted((x, y) => compareValues(x.a, y.a) || compareValues(x.b, y.b) || x.n - y.n);

  for (let round = 0; round < 400; round++) {
    const range = bounds(random, value);
    const order = random.pick(["asc", "desc"] as const);
    const least = random.below(300);
    const limit = random.below(20);
    const isFilterFirst = random.below(2) === 0;
    const filter = { filter: { $gte: [{ $field: "n" }, { $literal: least }] } };
    const query = QueryJson.parse({
      source: { type: "IndexRange", indexName: "things.by_a_b", range, order },
      operators: isFilterFirst ? [filter, { limit }] : [{ limit }, filter],
    });

    const inRange = sorted.filter((thing) => range.every((bound) => holds(bound, thing)));
    const inOrder = order === "asc" ? inRange : inRange.toReversed();
    const expected = isFilterFirst
      ? inOrder.filter(({ n }) => n >= least).slice(0, limit)
      : inOrder.slice(0, limit).filter(({ n }) => n >= least);

    const transaction = begin();
    const table = store.table("", "things");
    if (table === undefined) throw new Error("the table is there");
    const stream = new QueryStream(plan(query, table), transaction);
    const found: number[] = [];
    for (let row = stream.next(); row !== undefined; row = stream.next()) found.push(JSON.parse(row.json).n);
    stream.close();
    expect({ round, found }).toEqual({ round, found: expected.map(({ n }) => n) });
  }
});

test("pages of any size meet every row once, also while rows before and after the cursor come and go", () => {
  const random = new Random(77);
  for (let round = 0; round < 40; round++) {
    const { table, begin } = newStore();
    const setup = begin();
    const kept = Array.from({ length: 60 }, (_, n) => setup.insert("", "things", { a: n % 7, b: n }));
    setup.commit(NOW_MS);
    const order = random.pick(["asc", "desc"] as const);
    const query = QueryJson.parse({
      source: { type: "IndexRange", indexName: "things.by_a_b", range: [], order },
      operators: [],
    });
    const met: string[] = [];
    let start: Position | null = null;
    for (let pages = 0; pages < 200; pages++) {
      const transaction = begin();
      const request = {
        start,
        end: null,
        pageRows: 1 + random.below(9),
        rowsReadMax: null,
        bytesReadMax: null,
      };
      const page = readPage(plan(query, table), request, transaction);
      met.push(...page.documents.map((text) => (JSON.parse(text) as { _id: string })._id));
      start = page.end;
      if (page.isDone) break;
      const disturbance = begin();
      const extra = disturbance.insert("", "things", { a: random.below(7), b: 1000 });
      if (random.below(2) === 0) disturbance.remove("", extra);
      disturbance.commit(NOW_MS);
    }
    expect(new Set(met).size).toBe(met.length);
    expect(kept.filter((id) => !met.includes(id))).toEqual([]);
  }
});

test("a page with an end runs to that end, whatever its size", () => {
  const { table, begin } = newStore();
  const setup = begin();
  for (let n = 0; n < 10; n++) setup.insert("", "things", { a: 0, b: n * 10 });
  setup.commit(NOW_MS);
  const query = QueryJson.parse({
    source: { type: "IndexRange", indexName: "things.by_a_b", range: [] },
    operators: [],
  });
  const request = { start: null, end: null, pageRows: 3, rowsReadMax: null, bytesReadMax: null };
  const first = readPage(plan(query, table), request, begin());
  const more = begin();
  more.insert("", "things", { a: 0, b: 5 });
  more.commit(NOW_MS);
  const again = readPage(plan(query, table), { ...request, pageRows: 1, end: first.end }, begin());
  const values = again.documents.map((text) => (JSON.parse(text) as { b: number }).b);
  expect(values).toEqual([0, 5, 10, 20]);
  expect(again.isDone).toBe(false);
});

test("a page that may read only so many rows ends early, even when a filter drops them all", () => {
  const { table, begin } = newStore();
  const setup = begin();
  for (let n = 0; n < 10; n++) setup.insert("", "things", { a: n });
  setup.commit(NOW_MS);
  const source = { type: "FullTableScan", tableName: "things", order: null };
  const query = QueryJson.parse({
    source,
    operators: [{ filter: { $eq: [{ $field: "a" }, { $literal: 9 }] } }],
  });
  let start: Position | null = null;
  let pages = 0;
  const found: string[] = [];
  for (let isDone = false; !isDone; pages++) {
    const request = { start, end: null, pageRows: 5, rowsReadMax: 4, bytesReadMax: null };
    const page = readPage(plan(query, table), request, begin());
    found.push(...page.documents);
    start = page.end;
    isDone = page.isDone;
  }
  expect(found).toHaveLength(1);
  expect(pages).toBe(3);
});

test("a stream sees what its own transaction writes while it runs", () => {
  const { table, begin } = newStore();
  const transaction = begin();
  const ids = Array.from({ length: 5 }, (_, n) => transaction.insert("", "things", { a: n }));
  const source = { type: "FullTableScan", tableName: "things", order: "asc" };
  const stream = new QueryStream(plan(QueryJson.parse({ source, operators: [] }), table), transaction);
  const next = () => (JSON.parse(stream.next()?.json ?? "null") as { a: number } | null)?.a;
  expect(next()).toBe(0);
  transaction.patch("", ids[1] ?? "", { a: 100 });
  transaction.remove("", ids[2] ?? "");
  expect([next(), next(), next(), next()]).toEqual([100, 3, 4, undefined]);
  transaction.rollback();
});

test("only the part of a range that was consumed counts as read", () => {
  const { table, begin } = newStore();
  const setup = begin();
  for (let n = 0; n < 10; n++) setup.insert("", "things", { a: n });
  setup.commit(NOW_MS);
  const index = table.indexes.find(({ name }) => name === "by_a_b");
  const source = { type: "IndexRange", indexName: "things.by_a_b", range: [] };
  const transaction = begin();
  const stream = new QueryStream(
    plan(QueryJson.parse({ source, operators: [{ limit: 2 }] }), table),
    transaction,
  );
  while (stream.next() !== undefined);
  stream.close();
  const writes = begin();
  const isTouched = (a: number) => {
    writes.writes.length = 0;
    writes.insert("", "things", { a });
    return writes.writes.some(({ indexId, key }) =>
      transaction.reads.reads.some(
        (read) =>
          read.indexId === indexId &&
          indexId === index?.id &&
          Buffer.compare(read.start, key) <= 0 &&
          (read.end === undefined || Buffer.compare(key, read.end) < 0),
      ),
    );
  };
  expect([isTouched(-1), isTouched(0.5), isTouched(1.5), isTouched(9)]).toEqual([true, true, false, false]);
  writes.rollback();
});

const eq = (fieldPath: string) => ({ type: "Eq" as const, fieldPath, value: 1 });
type Range = Parameters<typeof rangeOf>[2];
const wrongRanges: [string, Range, string][] = [
  ["an equality that skips a field", [eq("b")], "didn't use the index fields in order"],
  [
    "two equalities on one field",
    [eq("a"), eq("a")],
    'Already defined equality bound in index range. Can\'t add "a" == 1.0.',
  ],
  [
    "two lower bounds",
    [
      { ...eq("a"), type: "Gt" },
      { ...eq("a"), type: "Gte" },
    ],
    'Already defined lower bound in index range. Can\'t add "a" >= 1.0.',
  ],
  [
    "two upper bounds",
    [
      { ...eq("a"), type: "Lt" },
      { ...eq("a"), type: "Lte" },
    ],
    'Already defined upper bound in index range. Can\'t add "a" <= 1.0.',
  ],
  [
    "an equality and a bound on one field",
    [{ ...eq("a"), type: "Gt" }, eq("a")],
    'Already defined inequality bound in index range. Can\'t add "a" == 1.0.',
  ],
  [
    "bounds on different fields",
    [
      { ...eq("a"), type: "Gt" },
      { ...eq("b"), type: "Lt" },
    ],
    'attempted to set a range bound on both "a" and "b"',
  ],
  ["a bound beyond the next field", [{ ...eq("b"), type: "Gt" }], "didn't use the index fields in order"],
  [
    "a field that the index lacks",
    [eq("z")],
    'The index range included a comparison with "z", but things.by_a_b with fields ["a","b"] doesn\'t index this field.',
  ],
];
test.each(wrongRanges)("%s is refused", (_name, range, reason) => {
  expect(() => rangeOf("things.by_a_b", ["a", "b", "_creationTime", "_id"], range)).toThrow(reason);
});

test("a cursor of another query, a changed one and foreign text are refused", () => {
  const random = new Random(8);
  const cursors = new Cursors("00".repeat(32));
  const fingerprint = fingerprintOf("query");
  const cursor = cursors.seal({ kind: "after", key: new Uint8Array([1, 2, 3]) }, fingerprint);
  expect(cursors.open(cursor, fingerprint)).toEqual({ kind: "after", key: new Uint8Array([1, 2, 3]) });
  expect(cursors.open(cursors.seal({ kind: "end" }, fingerprint), fingerprint)).toEqual({ kind: "end" });
  expect(() => cursors.open(cursor, fingerprintOf("other"))).toThrow("InvalidCursor");
  expect(() => new Cursors("11".repeat(32)).open(cursor, fingerprint)).toThrow("InvalidCursor");
  for (let round = 0; round < 300; round++) {
    const at = random.below(cursor.length - 1);
    const changed = cursor.slice(0, at) + random.pick([..."abcXYZ019-_"]) + cursor.slice(at + 1);
    if (changed !== cursor) expect(() => cursors.open(changed, fingerprint)).toThrow("InvalidCursor");
    expect(() => cursors.open(random.string(60), fingerprint)).toThrow("InvalidCursor");
  }
});
