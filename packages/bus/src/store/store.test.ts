import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import type { NatsConnection } from "nats";
import { sampleEvent } from "../../test/samples.ts";
import type { Link } from "../link.ts";
import { openLink } from "../link.ts";
import { createRequests, encode, type Requests, StreamError } from "../requests.ts";
import { plainClient, silentLog, startNats, type TestNats } from "../testing.ts";
import type { LaneLimits } from "./lane.ts";
import { createStore, type Message, type Store } from "./store.ts";

/** What goes together and what goes alone must be the same to everybody but the clock. */
let nats: TestNats;
let client: NatsConnection;
let link: Link;
let requests: Requests;

beforeAll(async () => {
  nats = await startNats();
  client = await plainClient(nats.login("admin"));
  link = await openLink({ ...nats.login("mta"), name: "test" }, silentLog);
  requests = createRequests(link);
});
afterEach(() => nats.clear());
afterAll(async () => {
  requests.stop();
  await link.nats.drain();
  await client.drain();
  await nats.stop();
});

const alone: LaneLimits = { batchMessagesMin: 1_000_000, batchMessagesMax: 1, batchesMax: 1, singlesMax: 64 };
const together: LaneLimits = { batchMessagesMin: 2, batchMessagesMax: 100, batchesMax: 1, singlesMax: 1 };

const message = (id: string, value: unknown = id): Message => ({
  subject: "mail.cancelled",
  data: encode(value),
  headers: { "Nats-Msg-Id": id },
});
const contents = async () => {
  const manager = await client.jetstreamManager();
  const { first_seq, last_seq, messages } = (await manager.streams.info("EVENTS")).state;
  const found: string[] = [];
  for (let seq = first_seq; messages > 0 && seq <= last_seq; seq++)
    found.push((await manager.streams.getMessage("EVENTS", { seq })).string());
  return found;
};
const batched = async () => {
  const manager = await client.jetstreamManager();
  const { first_seq } = (await manager.streams.info("EVENTS")).state;
  return (await manager.streams.getMessage("EVENTS", { seq: first_seq + 5 })).header.has("Nats-Batch-Id");
};
const store = (limits?: LaneLimits): Store => createStore(link, requests, 20_000, limits);

test.each([
  ["alone", alone, false],
  ["together", together, true],
] as const)("messages that go %s are stored once each, repeats and all", async (name, limits, isBatched) => {
  const { together: put } = store(limits);
  const ids = Array.from({ length: 300 }, (_, index) => `${name}.${index}`);
  await Promise.all(ids.map((id) => put("EVENTS", [message(id)])));
  expect(await batched()).toBe(isBatched);
  // Every third again, between new ones: a repeated id refuses its whole batch, and nobody must notice.
  const mixed = ids.flatMap((id, index) => [...(index % 3 === 0 ? [id] : []), `${id}.new`]);
  await Promise.all(mixed.map((id) => put("EVENTS", [message(id)])));
  expect((await contents()).toSorted()).toEqual(
    [...ids, ...ids.map((id) => `${id}.new`)].map((id) => JSON.stringify(id)).toSorted(),
  );
});

test("calls that follow each other keep their order", async () => {
  const { together: put } = store();
  const calls = Array.from({ length: 200 }, (_, index) => put("EVENTS", [message(`ordered.${index}`)]));
  await Promise.all(calls);
  expect(await contents()).toEqual(
    Array.from({ length: 200 }, (_, index) => JSON.stringify(`ordered.${index}`)),
  );
});

test("one refused call does not take the others of its batch with it", async () => {
  const { together: put } = store(together);
  const expectNothing = { "Nats-Expected-Last-Subject-Sequence": "0" };
  await put("QUEUE", [{ subject: "queue.send.0.a.1", data: encode(1), headers: expectNothing }]);
  const outcomes = await Promise.allSettled(
    [1, 2, 3, 4].map((number) =>
      put("QUEUE", [{ subject: `queue.send.0.a.${number}`, data: encode(number), headers: expectNothing }]),
    ),
  );
  expect(outcomes.map(({ status }) => status)).toEqual(["rejected", "fulfilled", "fulfilled", "fulfilled"]);
  expect(outcomes[0]).toMatchObject({ reason: expect.any(StreamError) });
});

test("the messages of one call are stored all or none", async () => {
  const { together: put } = store();
  const expectNothing = { "Nats-Expected-Last-Subject-Sequence": "0" };
  const entry = (number: number): Message => ({
    ...{ subject: `queue.send.1.a.${number}`, data: encode(number), headers: expectNothing },
  });
  await put("QUEUE", [entry(2)]);
  await expect(put("QUEUE", [entry(1), entry(2), entry(3)])).rejects.toBeInstanceOf(StreamError);
  const manager = await client.jetstreamManager();
  expect((await manager.streams.info("QUEUE")).state.messages).toBe(1);
  await put("QUEUE", [entry(4), entry(5)]);
  expect((await manager.streams.info("QUEUE")).state.messages).toBe(3);
});

test("what the server would not take for its size is refused before it is sent, and nothing else suffers", async () => {
  const { together: put, one } = store(together);
  const large = { ...message("large"), data: new Uint8Array(1_048_576) };
  const outcomes = await Promise.allSettled([
    put("EVENTS", [message("small")]),
    put("EVENTS", [large]),
    one(large),
  ]);
  expect(outcomes.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "rejected"]);
  expect(outcomes[1]).toMatchObject({ reason: { code: "request.too-large" } });
  expect(await contents()).toEqual([JSON.stringify("small")]);
});

test("a full stream is storage.full", async () => {
  const manager = await client.jetstreamManager();
  const { config } = await manager.streams.info("DEAD");
  await manager.streams.update("DEAD", {
    ...config,
    max_bytes: 500,
    discard: "new" as typeof config.discard,
  });
  const large = { subject: "dead.EVENTS.x", data: new Uint8Array(1_000) };
  try {
    await expect(store().one(large)).rejects.toMatchObject({ code: "storage.full" });
  } finally {
    await manager.streams.update("DEAD", config);
  }
});

test("what the contract says a payload is, is what is stored", async () => {
  const bus = await nats.connect("gateway");
  const payload = sampleEvent("mail.cancelled", "typed");
  await Promise.all([bus.publish("mail.cancelled", payload), bus.publish("mail.cancelled", payload)]);
  const broken = { ...payload, messageId: "x" } as unknown as typeof payload;
  await expect(bus.publish("mail.cancelled", broken)).rejects.toThrow("messageId: must be a message id");
  expect(await contents()).toEqual([JSON.stringify(payload)]);
});
