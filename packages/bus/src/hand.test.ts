import { afterAll, beforeAll, expect, test } from "bun:test";
import { until } from "../../../test/parts/until.ts";
import { sampleEvent } from "../test/samples.ts";
import { done, retry } from "./bus.ts";
import { createHand } from "./hand.ts";
import { type Link, openLink } from "./link.ts";
import { type Delivery, openReader } from "./reader.ts";
import { plainClient, silentLog, startNats, type TestNats } from "./testing.ts";

/** What the server is told about the messages in hand. */
const ackWaitMs = 300;
let nats: TestNats;
let link: Link;
beforeAll(async () => {
  nats = await startNats({ ackWaitMs });
  link = await openLink({ ...nats.login("scanner"), name: "scanner" }, silentLog);
});
afterAll(async () => {
  await link.nats.drain();
  await nats.stop();
});

const info = async () => {
  const client = await plainClient(nats.login("admin"));
  const found = await (await client.jetstreamManager()).consumers.info("EVENTS", "scanner");
  await client.drain();
  return found;
};

test("a message in hand stays here longer than the server's patience, and once only", async () => {
  const bus = await nats.connect("gateway");
  const arrived: Delivery[] = [];
  const hand = createHand(link, ackWaitMs);
  const reader = openReader(
    link,
    { stream: "EVENTS", durable: "scanner" },
    silentLog,
    () => 4,
    (delivery) => {
      if (hand.take(delivery)) arrived.push(delivery);
    },
  );
  await bus.publish("mail.submitted", sampleEvent("mail.submitted"));
  const delivery = await until("it is here", () => arrived[0]);
  // Unheard, the server would deliver it again each time; on a busy machine it may once.
  let quiet = { deliveries: 0, sinceMs: 0 };
  await until("the server waits three times as long as it was told to", async () => {
    const deliveries = (await info()).delivered.consumer_seq;
    if (deliveries !== quiet.deliveries) quiet = { deliveries, sinceMs: Date.now() };
    return Date.now() - quiet.sinceMs > 3 * ackWaitMs;
  });
  expect(arrived).toHaveLength(1);

  hand.settle(delivery, retry(0, "again"));
  const again = await until("it is here again", () => arrived[1]);
  expect(again.times).toBeGreaterThan(1);
  hand.giveBack(again);
  const third = await until("it is here for the third time", () => arrived[2]);
  hand.settle(third, done);
  await until("it is settled", async () => (await info()).num_ack_pending === 0);

  // The acknowledgement got lost, so to speak: it comes again and is answered without being handled.
  expect(hand.take({ ...third, times: 4 })).toBe(false);
  // After the store was lost the same sequence is another message.
  expect(hand.take({ ...third, storedAtMs: third.storedAtMs + 1 })).toBe(true);
  expect(hand.size()).toBe(1);
  await reader.stop();
  hand.stop();
});
