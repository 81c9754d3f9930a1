import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "bun:test";
import { until } from "../../../test/parts/until.ts";
import { sampleEvent } from "../test/samples.ts";
import { type Bus, done, reject, retry } from "./bus.ts";
import { openDeadLetters } from "./dead.ts";
import { createLoad } from "./load.ts";
import { linesOf, packBytesMax, packEventsMax, packsOf, weightOf } from "./packs.ts";
import { plainClient, silentLog, startNats, type TestNats } from "./testing.ts";

const text = (data: Uint8Array) => new TextDecoder().decode(data);
const line = (id: string, data = `{"id":"${id}"}`) => ({ id, data: new TextEncoder().encode(data) });

let nats: TestNats;
let bus: Bus;
beforeAll(async () => {
  nats = await startNats();
});
beforeEach(async () => {
  bus = await nats.connect("mta");
});
afterEach(async () => {
  await bus.drain();
  await nats.clear();
});
afterAll(() => nats.stop());

async function messagesOf(subject: string): Promise<number> {
  const client = await plainClient(nats.login("admin"));
  const manager = await client.jetstreamManager();
  const { state } = await manager.streams.info("EVENTS", { subjects_filter: subject });
  await client.drain();
  return state.subjects?.[subject] ?? 0;
}

/** The texts of all dead letters. */
async function deadLetters(): Promise<string[]> {
  const dead = await openDeadLetters(nats.login("admin"), silentLog);
  const letters = await dead.list();
  await dead.close();
  return letters.map((letter) => letter.text);
}

test("what was packed is unpacked, in bounds of events and of bytes", () => {
  const lines = Array.from({ length: 2 * packEventsMax + 1 }, (_, index) => line(String(index)));
  const packs = packsOf("mail.accepted", lines);
  expect(packs.map(weightOf)).toEqual([packEventsMax, packEventsMax, 1]);
  expect(packs.flatMap(({ data }) => linesOf(data)).map(text)).toEqual(lines.map(({ data }) => text(data)));
  const large = line("large", "x".repeat(packBytesMax));
  expect(packsOf("mail.accepted", [large, large, line("small")]).map(weightOf)).toEqual([1, 1, 1]);
});

test("the same events make the same packs under the same ids; an event alone has its own id", () => {
  const lines = ["a", "b"].map((id) => line(id));
  const idsOf = (count: number) =>
    packsOf("mail.accepted", lines.slice(0, count)).map(({ headers }) => headers?.["Nats-Msg-Id"]);
  expect([idsOf(1), idsOf(2), idsOf(2)]).toEqual([["a"], ["a+1"], ["a+1"]]);
});

test("events of many callers share messages, and each arrives", async () => {
  const heard = new Set<string>();
  await bus.consume("mta-intake", {
    async "mail.accepted"({ id }) {
      heard.add(id);
      return done;
    },
    "mail.scanned": async () => done,
  });
  const payloads = Array.from({ length: 500 }, (_, index) => sampleEvent("mail.accepted", `e${index}`));
  await Promise.all(payloads.map((payload) => bus.publishPacked("mail.accepted", payload)));
  await until("all are heard", () => heard.size === 500);
  expect(await messagesOf("mail.accepted")).toBeLessThan(50);
});

test("a list that is published again is stored once", async () => {
  const payloads = Array.from({ length: 150 }, (_, index) => sampleEvent("mail.accepted", `e${index}`));
  for (let again = 0; again < 2; again++) await bus.publishAll("mail.accepted", payloads);
  expect(await messagesOf("mail.accepted")).toBe(2);
});

test("of a shared message only what is to be tried again comes again; what is rejected lies in DEAD by itself", async () => {
  const heard: string[] = [];
  await bus.consume("mta-intake", {
    async "mail.accepted"({ id }) {
      heard.push(id);
      if (id === "again" && heard.filter((one) => one === id).length === 1) return retry(10, "not yet");
      return id === "never" ? reject("never") : done;
    },
    "mail.scanned": async () => done,
  });
  await bus.publishAll(
    "mail.accepted",
    ["once", "again", "never"].map((id) => sampleEvent("mail.accepted", id)),
  );
  await until("it came again", () => heard.length >= 4);
  expect(heard.toSorted()).toEqual(["again", "again", "never", "once"]);
  await until("it is dead", async () => (await deadLetters()).length === 1);
  const [letter = ""] = await deadLetters();
  expect(JSON.parse(letter)).toMatchObject({ id: "never" });
});

test("batches are of events, whatever messages they came in; a broken line dies alone", async () => {
  const client = await plainClient(nats.login("admin"));
  const good = Array.from({ length: 30 }, (_, index) =>
    JSON.stringify(sampleEvent("mail.accepted", `g${index}`)),
  );
  await client
    .jetstream()
    .publish("mail.accepted", [...good.slice(0, 15), "{", ...good.slice(15)].join("\n"));
  await client.drain();
  await bus.publish("mail.accepted", sampleEvent("mail.accepted", "g30"));
  const batches: string[][] = [];
  await bus.consumeBatches("recorder", { batchMax: 20, waitMs: 50 }, async (batch) => {
    batches.push(batch.map(({ event }) => event.payload.id));
    return done;
  });
  await until("all came", () => batches.flat().length === 31);
  expect(batches.flat()).toEqual(Array.from({ length: 31 }, (_, index) => `g${index}`));
  expect(Math.max(...batches.map(({ length }) => length))).toBeLessThanOrEqual(20);
  await until("the broken one is dead", async () => (await deadLetters())[0] === "{");
});

test("what was stored is read again, line by line, up to a position", async () => {
  await bus.publishAll(
    "mail.delivered",
    ["a", "b"].map((id) => sampleEvent("mail.delivered", id)),
  );
  await bus.publish("mail.bounced", sampleEvent("mail.bounced", "c"));
  await bus.publish("mail.delivered", sampleEvent("mail.delivered", "d"));
  const read = async (untilSequence: number) => {
    const ids: string[] = [];
    await bus.past(["mail.delivered", "mail.bounced"], { sinceMs: 0, untilSequence }, ({ payload }) => {
      ids.push(payload.id);
    });
    return ids;
  };
  expect(await read(Number.POSITIVE_INFINITY)).toEqual(["a", "b", "d", "c"]);
  const client = await plainClient(nats.login("admin"));
  const { state } = await (await client.jetstreamManager()).streams.info("EVENTS");
  await client.drain();
  expect(await read(state.last_seq - 1)).toEqual(["a", "b", "c"]);
});

test("room is counted in events, and never taken away from an empty hand", () => {
  const load = createLoad(200, 100);
  expect(load.room()).toBe(4);
  for (let message = 0; message < 20; message++) load.add(1);
  expect(load.room()).toBeGreaterThan(150);
  load.add(100);
  load.add(100);
  expect(load.room()).toBeLessThanOrEqual(0);
  load.remove(220);
  expect(load.room()).toBeGreaterThan(0);
});
