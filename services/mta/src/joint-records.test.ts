import { expect, test } from "bun:test";
import { createStore } from "./joint-records.testing.ts";
import { JointRecords } from "./joint-records.ts";

type Row = { by: string; count: number };
const log = { warn() {} };

function start(store: ReturnType<typeof createStore<Row>>) {
  const changes: [string, Row | undefined][] = [];
  const records = new JointRecords<Row>({
    bucket: store,
    onChange: (key, row) => changes.push([key, row]),
    log,
  });
  store.watch((key, row, revision) => records.restore(key, row, revision));
  return { records, changes };
}
const add = (by: string) => (present: Row | undefined) => ({ by, count: (present?.count ?? 0) + 1 });

test("a change counts here at once, and everywhere when it is stored", async () => {
  const store = createStore<Row>();
  const [one, other] = [start(store), start(store)];
  const stored = one.records.change("a", add("one"));
  expect(one.records.get("a")).toEqual({ by: "one", count: 1 });
  expect(await stored).toBe(true);
  expect(other.records.get("a")).toEqual({ by: "one", count: 1 });
  expect(other.changes).toEqual([["a", { by: "one", count: 1 }]]);
});

test("of changes at the same time none is lost: who was second is asked again", async () => {
  const store = createStore<Row>();
  const processes = Array.from({ length: 6 }, () => start(store));
  await Promise.all(processes.map(({ records }, at) => records.change("a", add(`p${at}`))));
  for (const { records } of processes) expect(records.get("a")?.count).toBe(6);
});

test("who finds that another process did it already leaves its record", async () => {
  const store = createStore<Row>();
  const [one, other] = [start(store), start(store)];
  const first = (by: string) => (present: Row | undefined) => present ?? { by, count: 1 };
  expect(
    await Promise.all([one.records.change("a", first("one")), other.records.change("a", first("other"))]),
  ).toEqual([true, true]);
  expect(store.writes()).toBe(1);
  expect(other.records.get("a")).toEqual(one.records.get("a"));
});

test("what cannot be stored is kept and stored later", async () => {
  const store = createStore<Row>();
  const [one, other] = [start(store), start(store)];
  store.isAway = true;
  expect(await one.records.change("a", add("one"))).toBe(false);
  expect(one.records.get("a")).toEqual({ by: "one", count: 1 });
  store.isAway = false;
  await one.records.save();
  expect(other.records.get("a")).toEqual({ by: "one", count: 1 });
  await one.records.save();
  expect(store.writes()).toBe(1);
});

test("a removed record is gone for all, and can be made again", async () => {
  const store = createStore<Row>();
  const [one, other] = [start(store), start(store)];
  await one.records.change("a", add("one"));
  await other.records.change("a", () => undefined);
  expect([one, other].map(({ records }) => records.list())).toEqual([[], []]);
  await one.records.change("a", add("one"));
  expect(other.records.list()).toEqual([["a", { by: "one", count: 1 }]]);
});

test("what the watch tells late brings back nothing that was removed since", async () => {
  const store = createStore<Row>();
  const records = new JointRecords<Row>({ bucket: store, log });
  await records.change("a", add("one"));
  await records.change("a", () => undefined);
  records.restore("a", { by: "one", count: 1 }, 1);
  expect(records.list()).toEqual([]);
  records.restore("a", undefined, 2);
  expect(records.list()).toEqual([]);
});
