import { afterAll, beforeAll, expect, test } from "bun:test";
import { buckets, consumers, looks, streams } from "@tyto/contracts";
import type { NatsConnection } from "nats";
import { provision } from "./provision.ts";
import { plainClient, silentLog, startNats, type TestNats } from "./testing.ts";

let nats: TestNats;
let client: NatsConnection;
beforeAll(async () => {
  nats = await startNats({ bare: true });
  client = await plainClient(nats.login("admin"));
});
afterAll(async () => {
  await client.drain();
  await nats.stop();
});

/** Runs it and tells what it changed. */
async function changed(): Promise<unknown[]> {
  const found: unknown[] = [];
  await provision(nats.login("admin"), {
    ...silentLog,
    info(event, fields) {
      if (event === "bus.provisioned" && Array.isArray(fields?.changed)) found.push(...fields.changed);
    },
  });
  return found;
}

test("everything that the contracts declare is made, and a second run changes nothing", async () => {
  const all = [streams, buckets, consumers, looks].flatMap((declared) => Object.keys(declared));
  expect((await changed()).length).toBe(all.length);
  expect(await changed()).toEqual([]);
});

test("two at a time do each other no harm", async () => {
  await Promise.all([changed(), changed()]);
});

test("what differs is brought back, and what waits in it stays", async () => {
  const manager = await client.jetstreamManager();
  const { config } = await manager.streams.info("EVENTS");
  await client.jetstream().publish("mail.cancelled", "{}");
  await manager.streams.update("EVENTS", { ...config, max_age: 1e12 });
  await manager.consumers.update("EVENTS", "scanner", { max_ack_pending: 1 });
  expect(await changed()).toEqual(["EVENTS", "scanner"]);
  expect((await manager.streams.info("EVENTS")).state.messages).toBe(1);
  expect((await manager.consumers.info("EVENTS", "scanner")).config.max_ack_pending).toBe(32);
});

test("a stream that cannot become what is declared is an error that names it", async () => {
  const manager = await client.jetstreamManager();
  await manager.streams.delete("RAW");
  await manager.streams.add({ name: "RAW", subjects: ["raw.>"], retention: "workqueue" as never });
  await expect(changed()).rejects.toThrow("nats-server refuses stream RAW as it is declared");
});
