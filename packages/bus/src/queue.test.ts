import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "bun:test";
import { Address, packHeaders, type QueueEntry, sendConsumer, sendSubject } from "@tyto/contracts";
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
    handler: async (entries: readonly QueueEntry[]) => {
      seen.push(...entries);
      return done;
    },
  };
};
const to = (address: string) => sampleEntry({ recipient: Address.parse(address) });
/** How many messages of any kind the stream holds. */
const stored = async () => (await (await client.jetstreamManager()).streams.info("QUEUE")).state.messages;

/** A durable hears of what is stored a moment after whoever stored it. */
const depthIs = (depth: Awaited<ReturnType<Bus["queue"]["depth"]>>) =>
  until(`the depth is ${JSON.stringify(depth)}`, async () => Bun.deepEquals(await bus.queue.depth(), depth), {
    everyMs: 5,
  });

/** Without waiting for the sweep's turn. */
const isEmpty = async () => {
  await bus.queue.depth();
  return (await stored()) === 0;
};

test("an added entry is handled, and then nothing of it is left in the queue", async () => {
  const { seen, handler } = collect();
  const entry = sampleEntry();
  await bus.queue.add([entry]);
  await depthIs({ ready: 1, later: 0 });
  await bus.queue.consume({ concurrency: 4 }, handler);
  await until("it is handled", () => seen.length === 1);
  expect(seen).toEqual([entry]);
  await until("it is swept", async () => (await stored()) === 0);
});

test("entries of one place that are added together share a message, which tells what it holds", async () => {
  const entries = Array.from({ length: 250 }, (_, index) =>
    sampleEntry({
      acceptedAt: 1_000 + index,
      traffic: "bulk",
      ...(index < 10 ? { campaign: "spring" } : {}),
    }),
  );
  await Promise.all([bus.queue.add(entries), bus.queue.add([to("bob@elsewhere.example")])]);
  await depthIs({ ready: 4, later: 0 });
  const manager = await client.jetstreamManager();
  const { header, subject } = await manager.streams.getMessage("QUEUE", {
    last_by_subj: sendSubject("bulk", "example.org"),
  });
  expect(subject).toBe("queue.send.bulk.example_org");
  expect(header.get(packHeaders.entries)).toBe("50");
  expect(header.get(packHeaders.place)).toBe("example.org");
  expect(header.get(packHeaders.oldest)).toBe("1200");
  expect(header.get(packHeaders.shares)).toBe("default/=50");
  const { state } = await manager.streams.info("QUEUE");
  const shares = await Promise.all(
    [0, 1, 2, 3].map(async (offset) =>
      (await manager.streams.getMessage("QUEUE", { seq: state.first_seq + offset })).header.get(
        packHeaders.shares,
      ),
    ),
  );
  expect(shares).toContain("default/spring=10,default/=90");
  const { seen, handler } = collect();
  await bus.queue.consume({ concurrency: 1_000 }, handler);
  await until("all are handled", () => seen.length === 251);
  expect(new Set(seen.map(({ deliveryId }) => deliveryId)).size).toBe(251);
});

test("an entry that waits for its turn does not hold the places of those beside it", async () => {
  await bus.queue.add([to("slow@one.example"), to("quick@one.example")]);
  await bus.queue.add([to("next@two.example"), to("last@two.example")]);
  const seen: string[] = [];
  const turn = Promise.withResolvers<void>();
  await bus.queue.consume({ concurrency: 2 }, async (entries, _arrival, settled) => {
    seen.push(...entries.map(({ recipient }) => recipient));
    if (!seen.includes("next@two.example")) {
      settled();
      await turn.promise;
    }
    return done;
  });
  await until("the others came", () => seen.length === 4);
  expect(await isEmpty()).toBe(false);
  turn.resolve();
  await until("nothing is left", isEmpty);
});

test("a site that is known is the place, so that its domains share messages", async () => {
  await bus.queue.add([
    { ...to("ann@one.example"), site: "google" },
    { ...to("bob@two.example"), site: "google" },
  ]);
  await depthIs({ ready: 1, later: 0 });
});

test("a message that waits keeps what it tells when its time has come", async () => {
  await bus.queue.add([sampleEntry()], Date.now() + 3_600_000);
  await depthIs({ ready: 0, later: 1 });
  await bus.queue.add([sampleEntry({ acceptedAt: 7 }), sampleEntry({ acceptedAt: 9 })], Date.now() + 300);
  await depthIs({ ready: 1, later: 1 });
  const manager = await client.jetstreamManager();
  const { header } = await manager.streams.getMessage("QUEUE", {
    last_by_subj: sendSubject("transactional", "example.org"),
  });
  expect(header.get(packHeaders.entries)).toBe("2");
  expect(header.get(packHeaders.oldest)).toBe("7");
});

test("an entry for later comes at its time, not before", async () => {
  const seen: QueueEntry[] = [];
  const cameAtMs: number[] = [];
  await bus.queue.consume({ concurrency: 4 }, async (entries) => {
    cameAtMs.push(Date.now());
    seen.push(...entries);
    return done;
  });
  const [deferred, scheduled] = [sampleEntry({ attempt: 2 }), sampleEntry()];
  const atMs = Date.now() + 400;
  await bus.queue.add([deferred], atMs);
  await bus.queue.add([scheduled], atMs);
  await until("both came", () => seen.length === 2, { everyMs: 5 });
  expect(Math.min(...cameAtMs)).toBeGreaterThanOrEqual(atMs);
  expect(seen.map(({ deliveryId, attempt }) => [deliveryId, attempt]).toSorted()).toEqual(
    [
      [deferred.deliveryId, 2],
      [scheduled.deliveryId, 1],
    ].toSorted(),
  );
  await until("nothing is left", isEmpty);
});

test("a time in the past means now", async () => {
  const { seen, handler } = collect();
  await bus.queue.consume({ concurrency: 4 }, handler);
  await bus.queue.add([sampleEntry()], Date.now() - 60_000);
  await until("it came", () => seen.length === 1);
});

test("schedules survive a kill -9 of the server", async () => {
  const { seen, handler } = collect();
  await bus.queue.consume({ concurrency: 4 }, handler);
  const entries = Array.from({ length: 20 }, () => sampleEntry());
  const atMs = Date.now() + 600;
  await Promise.all(entries.map((entry) => bus.queue.add([entry], atMs)));
  await client.drain();
  await nats.kill();
  await nats.restart();
  client = await plainClient(nats.login("admin"));
  await until("all came", () => seen.length === entries.length);
  expect(new Set(seen.map(({ deliveryId }) => deliveryId)).size).toBe(entries.length);
});

test("transactional mail overtakes bulk mail that nobody can send", async () => {
  const bulk = Array.from({ length: 1_500 }, () => sampleEntry({ traffic: "bulk" }));
  const release = Promise.withResolvers<void>();
  let bulkHeld = 0;
  const sent: string[] = [];
  await bus.queue.add(bulk);
  await bus.queue.consume({ concurrency: 1_000 }, async (entries) => {
    if (entries[0]?.traffic === "bulk") {
      bulkHeld += entries.length;
      await release.promise;
    } else sent.push(...entries.map(({ deliveryId }) => deliveryId));
    return done;
  });
  await until("bulk mail has all that it may have", () => bulkHeld === 800);
  const urgent = sampleEntry();
  await bus.queue.add([urgent]);
  await until("the other is handled", () => sent.length === 1);
  expect(bulkHeld).toBe(800);
  release.resolve();
});

test("an entry says whether somebody may have had it before", async () => {
  const earlier: boolean[] = [];
  await bus.queue.add([sampleEntry()]);
  await bus.queue.consume({ concurrency: 4 }, async (_, arrival) => {
    earlier.push(arrival.earlierUntil !== undefined);
    return done;
  });
  await until("the old one is handled", () => earlier.length === 1);
  expect(earlier).toEqual([true]);
  // Until the end of the queue is known, everything is under suspicion.
  await until("a new one is known to be new", async () => {
    await bus.queue.add([sampleEntry()]);
    return earlier.includes(false);
  });
});

test("a message that is gone already is taken out again without harm", async () => {
  await Promise.all(["one", "two", "three"].map((name) => bus.queue.add([to(`ann@${name}.example`)])));
  const found = await Array.fromAsync(bus.queue.scan({ withEntries: true }));
  expect(found).toHaveLength(3);
  for (const scanned of [...found, ...found]) await bus.queue.remove(scanned);
  expect(await stored()).toBe(0);
});

test("an entry that is rejected or breaks its contract lies in DEAD", async () => {
  const rejected = sampleEntry();
  await bus.queue.consume({ concurrency: 2 }, async () => reject("nobody can send this"));
  await bus.queue.add([rejected]);
  await client.jetstream().publish(sendSubject("bulk", "example.org"), encode({ deliveryId: "x" }));
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

test("one broken entry of a message goes to DEAD, and the others are handled", async () => {
  const { seen, handler } = collect();
  const good = sampleEntry();
  const lines = [JSON.stringify({ deliveryId: "x" }), JSON.stringify(good)].join("\n");
  await client.jetstream().publish(sendSubject("bulk", "example.org"), lines);
  await bus.queue.consume({ concurrency: 2 }, handler);
  await until("the good one is handled", () => seen.length === 1);
  expect(seen).toEqual([good]);
  const manager = await client.jetstreamManager();
  expect((await manager.streams.info("DEAD")).state.messages).toBe(1);
});

test("what is acknowledged and still there when a process starts is taken away, what is not is handled", async () => {
  const [settled, waiting] = [to("bob@one.example"), to("bob@two.example")];
  await bus.queue.add([settled]);
  await bus.queue.add([waiting]);
  const pulled = await client.jetstream().consumers.get("QUEUE", sendConsumer("transactional"));
  const message = await pulled.next();
  expect(message?.subject).toBe(sendSubject("transactional", "one.example"));
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
  await bus.queue.consume({ concurrency: 10 }, async (entries) => {
    for (const { deliveryId } of entries) begun.add(deliveryId);
    await Bun.sleep(5);
    return done;
  });
  await until("some are begun", () => begun.size >= 40, { everyMs: 1 });
  await bus.drain();
  const next = await nats.connect("mta", { sweepMs: 50 });
  const taken = new Set<string>();
  await next.queue.consume({ concurrency: 10 }, async (entries) => {
    for (const { deliveryId } of entries) taken.add(deliveryId);
    return done;
  });
  // Long before the 60 s after which the server would give them to another by itself.
  await until("the rest is handled", () => begun.size + taken.size >= 200, { withinMs: 30_000 });
  expect(begun.size + taken.size).toBe(200);
  await next.drain();
});
