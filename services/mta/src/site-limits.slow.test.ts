/** An operator's limits of a site, over two whole mta processes, a real nats-server and a sink that counts. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import type { Bus } from "@tyto/bus";
import { startNats, type TestNats } from "@tyto/bus/testing";
import { Address, defaultOrganization, newMessageId } from "@tyto/contracts";
import { type Running, silentLog } from "@tyto/service";
import { until } from "../../../test/parts/until.ts";
import { readConfig } from "./config.ts";
import { record, setUpSender } from "./sender.testing.ts";
import { start } from "./start.ts";
import { type Sink, startSink } from "./testing.ts";

const messages = 120;
const perSecond = 4;
const connectionsMax = 2;
const { domain } = record;
const body = Buffer.from("From: ann@example.com\r\nSubject: hi\r\n\r\nHello\r\n");

let nats: TestNats;
let gateway: Bus;
let recorder: Bus;
let mtas: Running[] = [];
let sink: Sink;
const arrivedAtMs: number[] = [];
beforeAll(async () => {
  nats = await startNats({ users: true });
  [gateway, recorder] = await Promise.all([nats.connect("gateway"), nats.connect("recorder")]);
  await setUpSender(recorder);
  sink = await startSink({
    async onMessage() {
      arrivedAtMs.push(performance.now());
      return "250 2.0.0 ok";
    },
  });
  const { url, user, password } = nats.login("mta");
  mtas = await Promise.all(
    ["one", "two"].map((name) =>
      start(
        readConfig({
          ...{ NATS_URL: url, NATS_USER: user, NATS_PASSWORD: password, HEALTH_PORT: "0", MTA_NAME: name },
          MTA_SECRET: "a secret of the test, long enough",
          BOUNCE_VERP_KEY: "a verp key of the test, long enough",
          MAIL_HOSTNAME: "mail.tyto.example",
          TYTO_ROUTES: `example.org=127.0.0.1:${sink.port}`,
        }),
        silentLog,
      ),
    ),
  );
  await until(
    "keys are there",
    async () => (await recorder.bucket("DOMAINS").get(domain))?.keys.length === 2,
  );
});
afterAll(async () => {
  await Promise.all(mtas.map((mta) => mta.stop()));
  await Promise.all([nats.stop(), sink.stop()]);
}, 300_000);

async function accept(): Promise<void> {
  const messageId = newMessageId();
  await gateway.bodies.put(messageId, body);
  await gateway.publish("mail.accepted", {
    ...{ id: `${messageId}.accepted`, at: Date.now(), organizationId: defaultOrganization, messageId },
    ...{ messageIdHeader: "1@example.com", from: Address.parse("ann@example.com"), domain, subject: "hi" },
    recipients: [{ address: Address.parse(`${messageId}@example.org`), role: "to" }],
    ...{ bodyBytes: body.length, bodyChunks: 1, attachments: 0, tags: [], metadata: {} },
    expiresAt: Date.now() + 86_400_000,
  });
}

test("two processes together keep to the rate and the connections that an operator set, and end them together", async () => {
  const site = `127.0.0.1=${sink.port}`;
  const set = await gateway.control.ask("mta.limit-site", {
    ...{ site, rate: `${perSecond}/s`, connectionsMax, why: "they asked", by: "ann" },
    ...{ untilMs: Date.now() + 3_600_000, isAboveCeiling: false },
  });
  await until("whoever is asked knows", async () => {
    // One process answers at most 16 at a time.
    const round = () => Promise.all(Array.from({ length: 12 }, () => gateway.control.ask("mta.holds", {})));
    const told = [...(await round()), ...(await round()), ...(await round())];
    return told.every(({ measures = [] }) => measures.some(({ key }) => key === set.key));
  });
  await Promise.all(Array.from({ length: messages }, accept));
  const limitedMs = 12_000;
  let busiest = 0;
  await until(
    "it was so for a while",
    async () => {
      const { answers } = await gateway.control.askAll("mta.replies", { site });
      busiest = Math.max(
        busiest,
        answers.reduce((sum, { state }) => sum + (state?.connections ?? 0), 0),
      );
      return performance.now() - (arrivedAtMs[0] ?? performance.now()) > limitedMs;
    },
    { withinMs: 60_000 },
  );
  const span = (performance.now() - (arrivedAtMs[0] ?? 0)) / 1_000;
  // What each process has saved up for a burst goes besides: a second of the rate, one message at the least.
  expect(arrivedAtMs.length).toBeWithin(perSecond * span * 0.6, perSecond * (span + 1) + 4);
  expect(busiest).toBeWithin(1, connectionsMax + 1);

  expect(await gateway.control.ask("mta.release", { key: set.key, by: "ann" })).toEqual({ wasHeld: true });
  await until("the rest arrives without limits", () => sink.received.length >= messages, {
    withinMs: 60_000,
  });
}, 300_000);
