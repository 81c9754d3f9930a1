import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "bun:test";
import type { StoredEvent } from "@tyto/contracts";
import type { NatsConnection } from "nats";
import { until } from "../../../../test/parts/until.ts";
import { sampleEvent } from "../../test/samples.ts";
import { type Bus, done, reject, retry } from "../bus.ts";
import { encode } from "../requests.ts";
import { plainClient, startNats, type TestNats } from "../testing.ts";

let nats: TestNats;
let bus: Bus;
let client: NatsConnection;

beforeAll(async () => {
  nats = await startNats();
  client = await plainClient(nats.login("admin"));
});
beforeEach(async () => {
  bus = await nats.connect("recorder");
});
afterEach(async () => {
  await bus.drain();
  await nats.clear();
});
afterAll(async () => {
  await client.drain();
  await nats.stop();
});

const publish = async (ids: readonly string[]) => {
  for (const id of ids) await bus.publish("mail.cancelled", sampleEvent("mail.cancelled", id));
};
const ids = (count: number) => Array.from({ length: count }, (_, index) => `${crypto.randomUUID()}.${index}`);
const idsOf = (batch: readonly { event: StoredEvent }[]) => batch.map(({ event }) => event.payload.id);
/** By the stream's own end: what the durable says to be waiting lags behind what was stored. */
const isSettled = async () => {
  const manager = await client.jetstreamManager();
  const { state } = await manager.streams.info("EVENTS");
  const { ack_floor, num_ack_pending } = await manager.consumers.info("EVENTS", "recorder");
  return num_ack_pending === 0 && ack_floor.stream_seq >= state.last_seq;
};
/** For batches that fill up: they go at once, and whoever is slow to fill them on a busy machine is waited for. */
const waitMsLong = 20_000;
const deadIds = async () => {
  const manager = await client.jetstreamManager();
  const { first_seq, last_seq } = (await manager.streams.info("DEAD")).state;
  const found: string[] = [];
  for (let seq = first_seq; seq <= last_seq; seq++)
    found.push((await manager.streams.getMessage("DEAD", { seq })).json<{ id: string }>().id);
  return found;
};

test("events come in the order of the stream, at most batchMax at a time", async () => {
  const wanted = ids(50);
  await publish(wanted);
  const batches: string[][] = [];
  await bus.consumeBatches("recorder", { batchMax: 20, waitMs: 30 }, async (batch) => {
    batches.push(idsOf(batch));
    return done;
  });
  await until("all are settled", isSettled);
  expect(batches.flat()).toEqual(wanted);
  expect(Math.max(...batches.map((batch) => batch.length))).toBeLessThanOrEqual(20);
  expect(batches.length).toBeLessThan(20);
});

test("many events at a time wait for more, a single one does not", async () => {
  await publish(ids(30));
  const sizes: number[] = [];
  const options = { batchMax: 40, waitMs: 1_000, flowWaitMs: 3_600_000 };
  await bus.consumeBatches("recorder", options, async (batch) => {
    sizes.push(batch.length);
    return done;
  });
  await publish(ids(10));
  await until("all are settled", isSettled);
  await publish(ids(1));
  await until("the last one is settled", isSettled);
  expect(sizes).toEqual([40, 1]);
});

test("a batch that is to be tried again comes again first, whole and in order", async () => {
  const wanted = ids(12);
  await publish(wanted);
  const batches: string[][] = [];
  const times: number[] = [];
  await bus.consumeBatches("recorder", { batchMax: 4, waitMs: waitMsLong }, async (batch) => {
    batches.push(idsOf(batch));
    times.push(batch[0]?.arrival.times ?? 0);
    return batches.length <= 2 ? retry(20, "the store is down") : done;
  });
  await until("all are settled", isSettled);
  expect(batches.slice(0, 3)).toEqual(Array.from({ length: 3 }, () => wanted.slice(0, 4)));
  expect(times.slice(0, 3)).toEqual([1, 2, 3]);
  expect(batches.slice(2).flat()).toEqual(wanted);
});

test("each event can have its own verdict", async () => {
  const wanted = ids(5);
  await publish(wanted);
  const tries = new Map<string, number>();
  await bus.consumeBatches("recorder", { batchMax: 5, waitMs: waitMsLong }, async (batch) =>
    idsOf(batch).map((id) => {
      tries.set(id, (tries.get(id) ?? 0) + 1);
      if (id === wanted[1]) return reject("refused by the store");
      return id === wanted[3] && tries.get(id) === 1 ? retry(10, "not yet") : done;
    }),
  );
  await until("all are settled", isSettled);
  expect(wanted.map((id) => tries.get(id))).toEqual([1, 1, 1, 2, 1]);
  expect(await deadIds()).toEqual([wanted[1] ?? ""]);
});

test("one event that makes the handler throw is found and buried, the others are applied", async () => {
  const wanted = ids(6);
  await publish(wanted);
  const applied: string[] = [];
  const options = { batchMax: 6, waitMs: waitMsLong, throwWaitMsMax: 1 };
  await bus.consumeBatches("recorder", options, async (batch) => {
    if (idsOf(batch).includes(wanted[4] ?? "")) throw new Error("a bug");
    applied.push(...idsOf(batch));
    return done;
  });
  await until("all are settled", isSettled);
  expect(applied.toSorted()).toEqual(wanted.toSorted().filter((id) => id !== wanted[4]));
  expect(await deadIds()).toEqual([wanted[4] ?? ""]);
});

test("what breaks its contract is buried, and the batch goes on without it", async () => {
  const [before = "", after = ""] = ids(2);
  await publish([before]);
  await client.jetstream().publish("mail.cancelled", encode({ id: "broken" }));
  await publish([after]);
  const seen: string[] = [];
  await bus.consumeBatches("recorder", { batchMax: 10, waitMs: 30 }, async (batch) => {
    seen.push(...idsOf(batch));
    return done;
  });
  await until("all are settled", isSettled);
  expect(seen).toEqual([before, after]);
  expect(await deadIds()).toEqual(["broken"]);
});

test("a stop during a wait hands the batch back at once", async () => {
  await publish(ids(3));
  let calls = 0;
  const first = await bus.consumeBatches("recorder", { batchMax: 3, waitMs: 10 }, async () => {
    calls++;
    return retry(60_000, "the store is down");
  });
  await until("it was tried", () => calls === 1);
  await first.stop();
  const seen: number[] = [];
  await bus.consumeBatches("recorder", { batchMax: 3, waitMs: 10 }, async (batch) => {
    seen.push(batch.length);
    return done;
  });
  await until("all are settled", isSettled);
  expect(seen.reduce((sum, count) => sum + count, 0)).toBe(3);
});
