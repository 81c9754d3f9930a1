/** kill -9 of nats-server, again and again, while everything runs: nothing that was confirmed may be missing. */
import { expect, test } from "bun:test";
import type { QueueEntry } from "@tyto/contracts";
import { until } from "../../../test/parts/until.ts";
import { sampleEntry, sampleEvent } from "../test/samples.ts";
import { type Bus, done } from "./bus.ts";
import { startNats } from "./testing.ts";

const killsCount = 6;
const messagesCount = 3_000;
const publishersCount = 64;

test("nothing confirmed is lost through six kill -9 of the server", async () => {
  const nats = await startNats({ users: true, syncAlways: true, ackWaitMs: 5_000 });
  const options = { publishMs: 60_000 };
  const gateway = await nats.connect("gateway", options);
  const mta = await nats.connect("mta", options);
  const recorder = await nats.connect("recorder", options);

  const recorded = new Map<string, number>();
  await recorder.consumeBatches("recorder", { batchMax: 200, waitMs: 20 }, async (batch) => {
    for (const { event } of batch) recorded.set(event.payload.id, (recorded.get(event.payload.id) ?? 0) + 1);
    return done;
  });
  const bodies = new Map<string, Uint8Array>();
  const tried = new Map<string, number>();
  const finished = new Set<string>();
  let wrongBodies = 0;
  await mta.consume(
    "mta-intake",
    {
      async "mail.accepted"(payload) {
        const entry = sampleEntry({ messageId: payload.messageId });
        // The id of the delivery follows from the event: an entry that a repeat adds is about the same one.
        await mta.queue.add([{ ...entry, deliveryId: `${payload.messageId}-0` as QueueEntry["deliveryId"] }]);
        return done;
      },
      "mail.scanned": async () => done,
    },
    { concurrency: 32 },
  );
  const handle = async (entry: QueueEntry) => {
    const key = `${entry.deliveryId}.${entry.attempt}`;
    tried.set(key, (tried.get(key) ?? 0) + 1);
    if (entry.attempt === 1) {
      const body = await mta.bodies.get(entry.messageId, 1);
      if (Buffer.compare(body, bodies.get(entry.messageId) ?? new Uint8Array()) !== 0) wrongBodies++;
      await mta.queue.add([{ ...entry, attempt: 2 }], Date.now() + 200);
      return;
    }
    await mta.bucket("ATTEMPTS").put(entry.deliveryId, {
      attempt: 2,
      final: true,
      event: { subject: "mail.delivered", payload: {} },
    });
    await mta.publish("mail.suppressed", sampleEvent("mail.suppressed", `${entry.deliveryId}.end`));
    finished.add(entry.messageId);
  };
  await mta.queue.consume({ concurrency: 50 }, async (entries) => {
    await Promise.all(entries.map(handle));
    return done;
  });

  const confirmed: string[] = [];
  let next = 0;
  const publisher = async () => {
    while (next < messagesCount) {
      const index = next++;
      const event = sampleEvent("mail.accepted", `crash.${index}`);
      const body = crypto.getRandomValues(new Uint8Array(500));
      bodies.set(event.messageId, body);
      await gateway.bodies.put(event.messageId, body);
      await gateway.publish("mail.accepted", event);
      confirmed.push(event.messageId);
    }
  };
  const publishing = Promise.all(Array.from({ length: publishersCount }, publisher));

  for (let kill = 1; kill <= killsCount; kill++) {
    const goal = (messagesCount * kill) / (killsCount + 1);
    await until(`${goal} are published`, () => confirmed.length >= goal, { withinMs: 120_000, everyMs: 5 });
    await nats.kill();
    await nats.restart();
  }
  await publishing;
  expect(confirmed.length).toBe(messagesCount);
  await until("all are delivered", () => finished.size === messagesCount, { withinMs: 120_000 });
  await until("all is recorded", () => recorded.size >= messagesCount * 2, { withinMs: 120_000 });
  expect([...finished].toSorted()).toEqual(confirmed.toSorted());
  expect(wrongBodies).toBe(0);
  expect(recorded.size).toBe(messagesCount * 2);
  await until("the queue is empty", async () => isEmpty(mta), { withinMs: 120_000 });

  const repeats = (counts: Map<string, number>) => [...counts.values()].filter((count) => count > 1).length;
  process.stdout.write(
    `${messagesCount} messages, ${killsCount} kills: ${repeats(tried)} attempts and ${repeats(recorded)} events came again\n`,
  );
  await nats.stop();
}, 600_000);

async function isEmpty(bus: Bus): Promise<boolean> {
  const { ready, later } = await bus.queue.depth();
  return ready + later === 0;
}
