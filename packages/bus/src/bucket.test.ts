import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "bun:test";
import type { NatsConnection } from "nats";
import { until } from "../../../test/parts/until.ts";
import type { Bus } from "./bus.ts";
import { encode } from "./requests.ts";
import { plainClient, startNats, type TestNats } from "./testing.ts";

let nats: TestNats;
let bus: Bus;
let client: NatsConnection;
beforeAll(async () => {
  nats = await startNats();
});
beforeEach(async () => {
  bus = await nats.connect("mta");
  client = await plainClient(nats.login("admin"));
});
afterEach(async () => {
  await bus.drain();
  await client.drain();
  await nats.clear();
});
afterAll(() => nats.stop());

const claim = (at: number) => ({ by: "released" as const, at });
type Change = [string, unknown];

test("what is put is got, and gone when deleted", async () => {
  const bucket = bus.bucket("CLAIMS");
  expect(await bucket.get("a")).toBeUndefined();
  await bucket.put("a", claim(1));
  await bucket.put("a", claim(2));
  expect(await bucket.get("a")).toEqual(claim(2));
  await bucket.delete("a");
  expect(await bucket.get("a")).toBeUndefined();
});

test("a key may be a domain, and nothing that reaches further", async () => {
  const bucket = bus.bucket("CLAIMS");
  await bucket.put("bücher.example.com", claim(1));
  expect(await bucket.get("bücher.example.com")).toEqual(claim(1));
  for (const key of ["", "a..b", ".a", "a.*", ">", "a b"])
    await expect(bucket.put(key, claim(1))).rejects.toThrow("is not a key");
});

test("of many that create a key at once, one succeeds", async () => {
  const outcomes = await Promise.all(
    Array.from({ length: 20 }, (_, at) => bus.bucket("CLAIMS").create("contested", claim(at))),
  );
  expect(outcomes.filter(Boolean).length).toBe(1);
  expect(await bus.bucket("CLAIMS").get("contested")).toEqual(claim(outcomes.indexOf(true)));
});

test("a deleted key can be created again, once", async () => {
  const bucket = bus.bucket("CLAIMS");
  await bucket.create("again", claim(1));
  await bucket.delete("again");
  expect(await bucket.create("again", claim(2))).toBe(true);
  expect(await bucket.create("again", claim(3))).toBe(false);
});

test("many puts at once are all stored", async () => {
  const keys = Array.from({ length: 300 }, (_, index) => `k${index}`);
  await Promise.all(keys.map((key, index) => bus.bucket("CLAIMS").put(key, claim(index))));
  const values = await Promise.all(keys.map((key) => bus.bucket("CLAIMS").get(key)));
  expect(values.map((value) => value?.at)).toEqual(keys.map((_, index) => index));
});

test("a value that breaks its contract is neither put nor handed out", async () => {
  const broken = { by: "nobody", at: 1 } as unknown as ReturnType<typeof claim>;
  await expect(bus.bucket("CLAIMS").put("x", broken)).rejects.toThrow("breaks its contract");
  await client.jetstream().publish("$KV.CLAIMS.x", encode(broken));
  await expect(bus.bucket("CLAIMS").get("x")).rejects.toThrow("breaks its contract");
});

test("a watch tells all that is present before it resolves, then each change", async () => {
  const bucket = bus.bucket("CLAIMS");
  for (let index = 0; index < 600; index++) void bucket.put(`k${index}`, claim(index));
  await bucket.put("last", claim(0));
  await until("all are stored", async () => (await bucket.get("k599")) !== undefined);
  const present = new Map<string, unknown>();
  const changes: Change[] = [];
  let isPresent = false;
  const watch = await bucket.watch((key, value) => {
    if (isPresent) changes.push([key, value]);
    else present.set(key, value);
  });
  isPresent = true;
  expect(present.size).toBe(601);
  expect(present.get("k599")).toEqual(claim(599));

  await bucket.put("k1", claim(77));
  await bucket.delete("k2");
  await client.jetstream().publish("$KV.CLAIMS.k3", encode({ by: "nobody" }));
  await bucket.put("new", claim(78));
  await until("the changes are told", () => changes.length >= 3);
  expect(changes).toEqual([
    ["k1", claim(77)],
    ["k2", undefined],
    ["new", claim(78)],
  ]);
  watch.stop();
  await bucket.put("after", claim(1));
  expect(changes.length).toBe(3);
});

test("a change is told when it happens, not by the look that comes now and then in case something was lost", async () => {
  const watching = await nats.connect("mta", { lookMs: 3_600_000 });
  const told = new Set<number>();
  const watch = await watching.bucket("CLAIMS").watch((_key, value) => told.add(value?.at ?? -1));
  const other = await nats.connect("gateway");
  // A server that stands still between telling of a change and storing it may have one wait for the next.
  let puts = 0;
  await until("five are told", async () => {
    await other.bucket("CLAIMS").put("k", claim(++puts));
    return told.size >= 5;
  });
  watch.stop();
  await Promise.all([other.drain(), watching.drain()]);
});

test("a watch misses nothing that changed while its server was away", async () => {
  const seen = new Map<string, unknown>();
  const watch = await bus.bucket("CLAIMS").watch((key, value) => seen.set(key, value));
  await bus.bucket("CLAIMS").put("before", claim(1));
  await until("the first is seen", () => seen.has("before"));
  await client.drain();
  await nats.kill();
  await until("the bus knows", () => !bus.isConnected());
  await nats.restart();
  client = await plainClient(nats.login("admin"));
  await client.jetstream().publish("$KV.CLAIMS.during", encode(claim(2)));
  await until("the other is seen", () => seen.has("during"));
  watch.stop();
});

test("a bucket that was emptied and filled anew is read from its start", async () => {
  const seen = new Map<string, number>();
  const watch = await bus.bucket("CLAIMS").watch((key, value) => void seen.set(key, value?.at ?? -1));
  for (let at = 1; at <= 5; at++) await bus.bucket("CLAIMS").put("k", claim(at));
  await until("they are seen", () => seen.get("k") === 5);
  const manager = await client.jetstreamManager();
  const { config } = await manager.streams.info("KV_CLAIMS");
  await manager.streams.delete("KV_CLAIMS");
  await manager.streams.add(config);
  await client.jetstream().publish("$KV.CLAIMS.k", encode(claim(9)));
  await client.drain();
  await nats.kill();
  await until("the bus knows", () => !bus.isConnected());
  await nats.restart();
  await until("the new value is seen", () => seen.get("k") === 9);
  client = await plainClient(nats.login("admin"));
  watch.stop();
});

test("an update succeeds only at the revision that was seen, and a removed key can be had again", async () => {
  const bucket = bus.bucket("CLAIMS");
  const first = await bucket.update("seen", claim(1), 0);
  expect(first).toBeGreaterThan(0);
  expect(await bucket.update("seen", claim(2), 0)).toBeUndefined();
  const second = await bucket.update("seen", claim(2), first ?? 0);
  expect(second).toBeGreaterThan(first ?? 0);
  expect(await bucket.update("seen", claim(3), first ?? 0)).toBeUndefined();
  expect(await bucket.find("seen")).toEqual({ value: claim(2), revision: second ?? 0 });
  const removed = await bucket.update("seen", undefined, second ?? 0);
  expect(await bucket.get("seen")).toBeUndefined();
  expect(await bucket.find("seen")).toEqual({ value: undefined, revision: removed ?? 0 });
  expect(await bucket.find("never")).toBeUndefined();
  const revisions: [string, number][] = [];
  const watch = await bucket.watch((key, _value, revision) => revisions.push([key, revision]));
  watch.stop();
  expect(revisions).toEqual([["seen", removed ?? 0]]);
  expect(await bucket.update("seen", claim(4), removed ?? 0)).toBeGreaterThan(removed ?? 0);
});

test("of many that update a key at once, one succeeds", async () => {
  const bucket = bus.bucket("CLAIMS");
  const outcomes = await Promise.all(
    Array.from({ length: 20 }, (_, at) => bucket.update("raced", claim(at), 0)),
  );
  expect(outcomes.filter((revision) => revision !== undefined).length).toBe(1);
});
