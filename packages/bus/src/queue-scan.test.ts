import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "bun:test";
import { Address, sendSubject } from "@tyto/contracts";
import { headers, type NatsConnection } from "nats";
import { rounds } from "../../../test/parts/rounds.ts";
import { until } from "../../../test/parts/until.ts";
import { sampleEntry } from "../test/samples.ts";
import { type Bus, done, type Scanned } from "./bus.ts";
import { plainClient, startNats, type TestNats } from "./testing.ts";

let nats: TestNats;
let bus: Bus;
let client: NatsConnection;
beforeAll(async () => {
  nats = await startNats({ users: true });
  client = await plainClient(nats.login("admin"));
});
beforeEach(async () => {
  bus = await nats.connect("mta", { sweepMs: 50 });
});
afterEach(async () => {
  await bus.drain();
  await nats.clear();
});
afterAll(async () => {
  await client.drain();
  await nats.stop();
});

const to = (address: string) => sampleEntry({ recipient: Address.parse(address) });
const scanned = async (options: { withEntries: boolean; fromSequence?: number }, from: Bus = bus) => {
  const found: Scanned[] = [];
  for await (const one of from.queue.scan(options)) found.push(one);
  return found;
};
const ids = (found: Scanned[]) =>
  found.flatMap(({ entries = [] }) => entries.map(({ deliveryId }) => deliveryId));

test("everything that waits is found once, with the time that it waits for", async () => {
  const ready = Array.from({ length: rounds(1_000, 5_000) }, (_, index) =>
    to(`u${index}@d${index % 40}.example`),
  );
  for (let from = 0; from < ready.length; from += 500) await bus.queue.add(ready.slice(from, from + 500));
  const later = to("later@example.org");
  const atMs = Date.now() + 3_600_000;
  await bus.queue.add([later], atMs);
  const found = await scanned({ withEntries: true });
  expect(ids(found).toSorted()).toEqual([...ready, later].map(({ deliveryId }) => deliveryId).toSorted());
  const times = found.flatMap(({ dueAtMs }) => dueAtMs ?? []);
  // Long waits are rounded up to the minute.
  expect(times).toEqual([Math.ceil(atMs / 60_000) * 60_000]);
  expect(new Set(found.map(({ sequence }) => sequence)).size).toBe(found.length);
}, 180_000);

test("an empty queue is found empty, and so is what lies behind the last message", async () => {
  expect(await scanned({ withEntries: true })).toEqual([]);
  expect(await scanned({ withEntries: false })).toEqual([]);
  await bus.queue.add([to("a@one.example"), to("b@two.example")]);
  const [first, second] = await scanned({ withEntries: true });
  expect(await scanned({ withEntries: true, fromSequence: (first?.sequence ?? 0) + 1 })).toEqual([
    second as Scanned,
  ]);
  expect(await scanned({ withEntries: true, fromSequence: (second?.sequence ?? 0) + 1 })).toEqual([]);
});

test("messages that say what they hold are counted by their headers, others by their entries", async () => {
  const publish = async (more: Record<string, string>, entries: number) => {
    const entry = to("a@example.org");
    const set = headers();
    for (const [name, value] of Object.entries(more)) set.set(name, value);
    const lines = Array.from({ length: entries }, () => JSON.stringify(entry)).join("\n");
    await client.request(sendSubject("transactional", "example.org"), lines, {
      headers: set,
      timeout: 5_000,
    });
  };
  await publish(
    {
      "Tyto-Entries": "3",
      "Tyto-Place": "google",
      "Tyto-Shares": "default/spring=2,acme/=1,*=1",
      "Tyto-Oldest": "1700000000000",
    },
    3,
  );
  await publish({}, 2);
  const found = await scanned({ withEntries: false });
  expect(found.map(({ summary, entries }) => summary ?? entries?.length)).toEqual([
    {
      entries: 3,
      place: "google",
      shares: [
        { organization: "default", campaign: "spring", entries: 2 },
        { organization: "acme", entries: 1 },
        { entries: 1 },
      ],
      oldestAtMs: 1_700_000_000_000,
    },
    2,
  ]);
  expect((await scanned({ withEntries: true })).map(({ entries }) => entries?.length)).toEqual([3, 2]);
});

test("looks side by side, of several processes, disturb nobody's result", async () => {
  const entries = Array.from({ length: 1_500 }, (_, index) => to(`u${index}@d${index % 40}.example`));
  for (let from = 0; from < entries.length; from += 500) await bus.queue.add(entries.slice(from, from + 500));
  const other = await nats.connect("mta");
  const counts = await Promise.all(
    [bus, bus, other, other].map(async (one) => ids(await scanned({ withEntries: true }, one)).length),
  );
  expect(counts).toEqual([1_500, 1_500, 1_500, 1_500]);
}, 180_000);

test("what was acknowledged is not told as waiting", async () => {
  const consumption = await bus.queue.consume({ concurrency: 8 }, async () => done);
  await bus.queue.add([to("a@example.org"), to("b@example.org")]);
  await until("nothing waits", async () => (await scanned({ withEntries: true })).length === 0);
  await consumption.stop();
});

test("a removed message is gone, its schedule never fires, and its neighbours stay", async () => {
  const [gone, stays, due] = [to("gone@example.org"), to("stays@example.org"), to("due@example.org")];
  for (const one of [gone, stays]) await bus.queue.add([one]);
  await bus.queue.add([due], Date.now() + 2_500);
  for (const found of await scanned({ withEntries: true }))
    if (!ids([found]).includes(stays.deliveryId)) await bus.queue.remove(found);
  expect(ids(await scanned({ withEntries: true }))).toEqual([stays.deliveryId]);
  const seen: string[] = [];
  const fence = to("fence@example.org");
  await bus.queue.add([fence], Date.now() + 2_600);
  const consumption = await bus.queue.consume({ concurrency: 8 }, async (entries) => {
    seen.push(...entries.map(({ deliveryId }) => deliveryId));
    return done;
  });
  await until("the later one came", () => seen.includes(fence.deliveryId));
  expect(seen.toSorted()).toEqual([stays.deliveryId, fence.deliveryId].toSorted());
  await consumption.stop();
});
