import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "bun:test";
import { Address, type QueueEntry, sendSubject, shardOf } from "@tyto/contracts";
import type { NatsConnection } from "nats";
import { until } from "../../../test/parts/until.ts";
import { sampleEntry } from "../test/samples.ts";
import { type Bus, done, reject, retry } from "./bus.ts";
import { encode } from "./requests.ts";
import { plainClient, startNats, type TestNats } from "./testing.ts";

let nats: TestNats;
let bus: Bus;
let client: NatsConnection;
beforeAll(async () => {
  nats = await startNats();
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

const collect = () => {
  const seen: QueueEntry[] = [];
  return {
    seen,
    handler: async (entry: QueueEntry) => {
      seen.push(entry);
      return done;
    },
  };
};
const to = (address: string) => sampleEntry({ recipient: Address.parse(address) });
/** How many messages of any kind the stream holds. */
const stored = async () => (await (await client.jetstreamManager()).streams.info("QUEUE")).state.messages;

/** Without waiting for the sweep's turn. */
const isEmpty = async () => {
  await bus.queue.depth();
  return (await stored()) === 0;
};

test("an added entry is handled, and then nothing of it is left in the queue", async () => {
  const { seen, handler } = collect();
  const entry = sampleEntry();
  await bus.queue.add([entry]);
  expect(await bus.queue.depth()).toEqual({ ready: 1, later: 0 });
  await bus.queue.consume({ concurrency: 4 }, handler);
  await until("it is handled", () => seen.length === 1);
  expect(seen).toEqual([entry]);
  await until("it is swept", async () => (await stored()) === 0);
});

test("adding entries that are queued leaves them and adds the missing ones", async () => {
  const [one, two, three] = [sampleEntry(), sampleEntry(), sampleEntry()];
  await bus.queue.add([one, two]);
  await bus.queue.add([one, two, three]);
  await bus.queue.add([]);
  expect(await bus.queue.depth()).toEqual({ ready: 3, later: 0 });
});

test("adding again, after all is handled, adds nothing for a while", async () => {
  const { seen, handler } = collect();
  const entries = [sampleEntry(), sampleEntry()];
  await bus.queue.consume({ concurrency: 4 }, handler);
  await bus.queue.add(entries);
  await until("they are handled", () => seen.length === 2);
  await until("they are swept", isEmpty);
  await bus.queue.add(entries);
  await bus.queue.add([sampleEntry()]);
  await until("the new one is handled", () => seen.length === 3);
  expect(await bus.queue.depth()).toEqual({ ready: 0, later: 0 });
});

test("many added at once are each queued once", async () => {
  const entries = Array.from({ length: 400 }, () => sampleEntry());
  await Promise.all([...entries, ...entries.slice(0, 100)].map((entry) => bus.queue.add([entry])));
  expect(await bus.queue.depth()).toEqual({ ready: 400, later: 0 });
});

test("a thousand recipients of one message are added at once", async () => {
  await bus.queue.add(Array.from({ length: 1_000 }, () => sampleEntry()));
  expect(await bus.queue.depth()).toEqual({ ready: 1_000, later: 0 });
});

test("an entry for later comes at its time, not before", async () => {
  const { seen, handler } = collect();
  await bus.queue.consume({ concurrency: 4 }, handler);
  const [deferred, scheduled] = [sampleEntry({ attempt: 2 }), sampleEntry()];
  const atMs = Date.now() + 400;
  await bus.queue.later(deferred, atMs);
  await bus.queue.add([scheduled], atMs);
  expect(await bus.queue.depth()).toEqual({ ready: 0, later: 2 });
  await until("both came", () => seen.length === 2, { everyMs: 5 });
  expect(Date.now()).toBeGreaterThanOrEqual(atMs);
  expect(seen.map(({ deliveryId, attempt }) => [deliveryId, attempt]).toSorted()).toEqual(
    [
      [deferred.deliveryId, 2],
      [scheduled.deliveryId, 1],
    ].toSorted(),
  );
  await until("nothing is left", isEmpty);
});

test("a newer time replaces the older, and cancelling takes it away", async () => {
  const { seen, handler } = collect();
  await bus.queue.consume({ concurrency: 4 }, handler);
  const [moved, cancelled] = [sampleEntry(), sampleEntry()];
  await bus.queue.later(moved, Date.now() + 3_600_000);
  await bus.queue.later(moved, Date.now() + 7_200_000);
  await bus.queue.later({ ...moved, attempt: 3 }, Date.now() + 300);
  await bus.queue.later(cancelled, Date.now() + 300);
  expect(await bus.queue.depth()).toEqual({ ready: 0, later: 2 });
  await bus.queue.cancelLater(cancelled.deliveryId);
  await bus.queue.cancelLater(sampleEntry().deliveryId);
  await until("the moved one came", () => seen.length === 1);
  expect(seen[0]?.attempt).toBe(3);
  await until("nothing is left", isEmpty);
  expect(seen.length).toBe(1);
});

test("a time in the past means now", async () => {
  const { seen, handler } = collect();
  await bus.queue.consume({ concurrency: 4 }, handler);
  await bus.queue.later(sampleEntry(), Date.now() - 60_000);
  await until("it came", () => seen.length === 1);
});

test("schedules survive a kill -9 of the server", async () => {
  const { seen, handler } = collect();
  await bus.queue.consume({ concurrency: 4 }, handler);
  const entries = Array.from({ length: 20 }, () => sampleEntry());
  const atMs = Date.now() + 600;
  await Promise.all(entries.map((entry) => bus.queue.later(entry, atMs)));
  await client.drain();
  await nats.kill();
  await nats.restart();
  client = await plainClient(nats.login("admin"));
  await until("all came", () => seen.length === entries.length);
  expect(new Set(seen.map(({ deliveryId }) => deliveryId)).size).toBe(entries.length);
});

test("two entries of one delivery never run side by side", async () => {
  const entry = sampleEntry();
  let running = 0;
  let most = 0;
  let handled = 0;
  await bus.queue.consume({ concurrency: 8 }, async () => {
    most = Math.max(most, ++running);
    await Bun.sleep(20);
    running--;
    handled++;
    return done;
  });
  const publish = client.jetstream();
  await Promise.all([1, 2, 3].map(() => publish.publish(sendSubject(entry), encode(entry))));
  await until("all are handled", () => handled === 3);
  expect(most).toBe(1);
});

test("a site that does not answer leaves places to the others", async () => {
  const slow = Array.from({ length: 30 }, () => to("bob@slow.example"));
  const fast = Array.from({ length: 50 }, (_, index) => to(`bob@fast${index}.example`)).filter(
    ({ recipient }) => shardOf(recipient.split("@")[1] ?? "") !== shardOf("slow.example"),
  );
  const release = Promise.withResolvers<void>();
  let held = 0;
  let heldMost = 0;
  let fastHandled = 0;
  await bus.queue.add(slow);
  await bus.queue.consume({ concurrency: 8 }, async ({ recipient }) => {
    if (!recipient.endsWith("slow.example")) {
      fastHandled++;
      return done;
    }
    heldMost = Math.max(heldMost, ++held);
    await release.promise;
    held--;
    return done;
  });
  await until("the slow ones hold all they may", () => held === 4);
  await bus.queue.add(fast);
  await until("the others are handled", () => fastHandled === fast.length);
  expect(heldMost).toBe(4);
  release.resolve();
});

test("an entry that is rejected or breaks its contract lies in DEAD", async () => {
  const rejected = sampleEntry();
  await bus.queue.consume({ concurrency: 2 }, async () => reject("nobody can send this"));
  await bus.queue.add([rejected]);
  const broken = sendSubject(sampleEntry());
  await client.jetstream().publish(broken, encode({ deliveryId: "x" }));
  const manager = await client.jetstreamManager();
  await until("both are there", async () => (await manager.streams.info("DEAD")).state.messages === 2);
  await until("nothing is left", isEmpty);
});

test("an entry that is retried keeps its place until it is done", async () => {
  const times: number[] = [];
  await bus.queue.consume({ concurrency: 2 }, async (_, arrival) => {
    times.push(arrival.times);
    return arrival.times < 3 ? retry(10, "a moment") : done;
  });
  await bus.queue.add([sampleEntry()]);
  await until("it is done", async () => times.length === 3 && (await isEmpty()));
  expect(times).toEqual([1, 2, 3]);
});

test("what is acknowledged and still there when a process starts is taken away, what is not is handled", async () => {
  const [settled, waiting] = [to("bob@one.example"), to("bob@one.example")];
  await bus.queue.add([settled, waiting]);
  const pulled = await client.jetstream().consumers.get("QUEUE", `mta-send-${shardOf("one.example")}`);
  const message = await pulled.next();
  expect(message?.subject).toBe(sendSubject(settled));
  await message?.ackAck();
  expect(await stored()).toBe(2);
  const { seen, handler } = collect();
  await bus.queue.consume({ concurrency: 4 }, handler);
  await until("the other is handled", () => seen.length === 1);
  expect(seen).toEqual([waiting]);
  await until("nothing is left", isEmpty);
});

test("entries that a draining process hands back are taken up by the next at once", async () => {
  const entries = Array.from({ length: 200 }, (_, index) => to(`bob@site${index % 40}.example`));
  await bus.queue.add(entries);
  const begun = new Set<string>();
  await bus.queue.consume({ concurrency: 10 }, async ({ deliveryId }) => {
    begun.add(deliveryId);
    await Bun.sleep(5);
    return done;
  });
  await until("some are begun", () => begun.size >= 40, { everyMs: 1 });
  await bus.drain();
  const next = await nats.connect("mta", { sweepMs: 50 });
  const taken = new Set<string>();
  await next.queue.consume({ concurrency: 10 }, async ({ deliveryId }) => {
    taken.add(deliveryId);
    return done;
  });
  // Long before the 60 s after which the server would give them to another by itself.
  await until("the rest is handled", () => begun.size + taken.size >= 200, { withinMs: 4_000 });
  expect(begun.size + taken.size).toBe(200);
  await next.drain();
});
