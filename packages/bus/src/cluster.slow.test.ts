/** The bus on three real nats-servers: what one node stored, all know; what one node loses, nobody loses. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { DeliveryId, newMessageId } from "@tyto/contracts";
import { until } from "../../../test/parts/until.ts";
import { sampleEntry, sampleEvent } from "../test/samples.ts";
import { type Bus, done } from "./bus.ts";
import { startCluster, type TestCluster } from "./testing-cluster.ts";

let cluster: TestCluster;
let buses: Bus[];
beforeAll(async () => {
  cluster = await startCluster();
  buses = await Promise.all([0, 1, 2].map((node) => cluster.connect("mta", node)));
}, 600_000);
afterAll(() => cluster.stop(), 120_000);

const busOf = (node: number): Bus => {
  const bus = buses[node % buses.length];
  if (bus === undefined) throw new Error("no such node");
  return bus;
};

test("a mark is there for all as soon as it is stored", async () => {
  const event = { subject: "mail.delivered" as const, payload: sampleEvent("mail.delivered") };
  for (let index = 0; index < 300; index++) {
    const key = `mark-${index}`;
    await busOf(index)
      .bucket("ATTEMPTS")
      .put(key, { attempt: index + 1, final: true, event });
    const marks = await Promise.all(buses.map((bus) => bus.bucket("ATTEMPTS").get(key)));
    expect(marks.map((mark) => mark?.attempt)).toEqual([index + 1, index + 1, index + 1]);
  }
}, 600_000);

test("a body can be read at every node as soon as it is stored", async () => {
  const gateways = await Promise.all([0, 1, 2].map((node) => cluster.connect("gateway", node)));
  for (let index = 0; index < 100; index++) {
    const id = newMessageId();
    const bytes = new Uint8Array(700_000).fill(index);
    const parts = (await gateways[index % 3]?.bodies.put(id, bytes)) ?? 0;
    const bodies = await Promise.all(buses.map((bus) => bus.bodies.get(id, parts)));
    expect(bodies.map((body) => Bun.hash(body))).toEqual(buses.map(() => Bun.hash(bytes)));
  }
}, 600_000);

test("of many that create a key at once at different nodes, one succeeds", async () => {
  for (let round = 0; round < 20; round++) {
    const outcomes = await Promise.all(
      buses.flatMap((bus) =>
        [1, 2].map(() => bus.bucket("CLAIMS").create(`claim-${round}`, { by: "released", at: 1 })),
      ),
    );
    expect(outcomes.filter(Boolean).length).toBe(1);
  }
}, 600_000);

test("what is past is told whole at every node, right after it was stored", async () => {
  for (let round = 0; round < 30; round++) {
    const sinceMs = Date.now();
    const events = Array.from({ length: 50 }, () => sampleEvent("mail.bounced"));
    await busOf(round).publishAll("mail.bounced", events);
    const told = await Promise.all(
      buses.map(async (bus) => {
        const ids = new Set<string>();
        await bus.past(
          ["mail.bounced", "mail.suppressed"],
          { sinceMs: sinceMs - 60_000, untilSequence: Number.POSITIVE_INFINITY },
          ({ payload }) => ids.add(payload.id),
        );
        return events.filter(({ id }) => ids.has(id)).length;
      }),
    );
    expect(told).toEqual([50, 50, 50]);
  }
}, 600_000);

test("batches that lose the stream's leader in the middle are stored whole, each once", async () => {
  const gateway = await cluster.connect("gateway");
  const bus = await cluster.connect("mta");
  const sinceMs = Date.now();
  const wanted = new Set<string>();
  let isOver = false;
  const publisher = async () => {
    while (!isOver) {
      const events = Array.from({ length: 400 }, () => sampleEvent("mail.cancelled"));
      // Several messages for one caller: one atomic batch of packs.
      await gateway.publishAll("mail.cancelled", events);
      for (const { id } of events) wanted.add(id);
    }
  };
  const publishing = Promise.all([publisher(), publisher(), publisher()]);
  for (let kills = 0; kills < 3; kills++) {
    await cluster.whenHealthy();
    const leader = await cluster.leaderOf("EVENTS");
    await cluster.kill(leader);
    const before = wanted.size;
    await until("it goes on without that node", () => wanted.size > before + 2_000, { withinMs: 120_000 });
    cluster.restart(leader);
  }
  isOver = true;
  await publishing;
  await cluster.whenHealthy();
  const times = new Map<string, number>();
  await bus.past(
    ["mail.cancelled"],
    { sinceMs: sinceMs - 60_000, untilSequence: Number.POSITIVE_INFINITY },
    ({ payload }) => times.set(payload.id, (times.get(payload.id) ?? 0) + 1),
  );
  expect([...wanted].filter((id) => !times.has(id)).length).toBe(0);
  expect([...times.values()].filter((count) => count > 1).length).toBe(0);
}, 600_000);

test("entries that wait for their time come once, though the leader of the queue is killed meanwhile", async () => {
  await cluster.whenHealthy();
  const bus = await cluster.connect("mta");
  const entries = Array.from({ length: 300 }, () => sampleEntry());
  const dueAtMs = Date.now() + 4_000;
  await bus.queue.add(entries, dueAtMs);
  const times = new Map<string, number>();
  const consumption = await bus.queue.consume({ concurrency: 64 }, async (some) => {
    for (const { deliveryId } of some) times.set(deliveryId, (times.get(deliveryId) ?? 0) + 1);
    return done;
  });
  const leader = await cluster.leaderOf("QUEUE");
  await cluster.kill(leader);
  await until("all have come", () => times.size === entries.length, { withinMs: 120_000 });
  cluster.restart(leader);
  await consumption.stop();
  expect(entries.every(({ deliveryId }) => times.has(DeliveryId.parse(deliveryId)))).toBe(true);
}, 600_000);

test("after the durable's leader died, nothing that was handled is told to be new", async () => {
  await cluster.whenHealthy();
  const gateway = await cluster.connect("gateway");
  const bus = await cluster.connect("scanner");
  const handled = new Map<string, number>();
  const takenForNew: string[] = [];
  const consumption = await bus.consume(
    "scanner",
    {
      "mail.submitted": async ({ id }, { earlierUntil }) => {
        if (handled.has(id) && earlierUntil === undefined) takenForNew.push(id);
        handled.set(id, (handled.get(id) ?? 0) + 1);
        return done;
      },
    },
    { concurrency: 16, tellsEarlier: true },
  );
  let published = 0;
  let isOver = false;
  const publishing = (async () => {
    while (!isOver) {
      await gateway.publish("mail.submitted", sampleEvent("mail.submitted"));
      published++;
    }
  })();
  for (let kills = 0; kills < 3; kills++) {
    await cluster.whenHealthy();
    const leader = await cluster.leaderOf("EVENTS", "scanner");
    await cluster.kill(leader);
    const before = handled.size;
    await until("others are handled", () => handled.size > before + 300, { withinMs: 120_000 });
    cluster.restart(leader);
  }
  isOver = true;
  await publishing;
  await until("all are handled", () => handled.size === published, { withinMs: 120_000 });
  await consumption.stop();
  expect(takenForNew).toEqual([]);
}, 600_000);
