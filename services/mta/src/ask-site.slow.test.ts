/** What an operator's requeue of a suspended site does: two whole mta processes, a real nats-server, and a site that comes back. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import type { Bus } from "@tyto/bus";
import { startNats, type TestNats } from "@tyto/bus/testing";
import { Address, defaultOrganization, newMessageId, type SiteState } from "@tyto/contracts";
import { type Running, silentLog } from "@tyto/service";
import { freePort } from "../../../test/parts/ports.ts";
import { until } from "../../../test/parts/until.ts";
import { answersOf } from "./answers.testing.ts";
import { readConfig } from "./config.ts";
import { record, setUpSender } from "./sender.testing.ts";
import { start } from "./start.ts";
import { type Sink, startSink } from "./testing.ts";

const messages = 300;
const { domain } = record;
const body = Buffer.from("From: ann@example.com\r\nSubject: hi\r\n\r\nHello\r\n");

let nats: TestNats;
let gateway: Bus;
let recorder: Bus;
let mtas: Running[] = [];
let sink: Sink | undefined;
let port = 0;
beforeAll(async () => {
  nats = await startNats({ users: true });
  [gateway, recorder] = await Promise.all([nats.connect("gateway"), nats.connect("recorder")]);
  await setUpSender(recorder);
  // Nobody listens there until the site comes back.
  port = await freePort();
  const { url, user, password } = nats.login("mta");
  mtas = await Promise.all(
    ["one", "two"].map((name) =>
      start(
        readConfig({
          ...{ NATS_URL: url, NATS_USER: user, NATS_PASSWORD: password, HEALTH_PORT: "0", MTA_NAME: name },
          MTA_SECRET: "a secret of the test, long enough",
          BOUNCE_VERP_KEY: "a verp key of the test, long enough",
          MAIL_HOSTNAME: "mail.tyto.example",
          TYTO_ROUTES: `example.org=127.0.0.1:${port}`,
          RETRY_FIRST_S: "600",
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
  await Promise.all([nats.stop(), sink?.stop()]);
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

const site = () => `127.0.0.1=${port}`;
/** The site as each process sees it. */
async function statesOf(): Promise<SiteState[]> {
  const answers = await answersOf(gateway, "mta.replies", { site: site() }, mtas.length);
  return answers.flatMap(({ state }) => state ?? []);
}
async function waiting(): Promise<number> {
  const queue = await gateway.control.ask("mta.queue", { by: "site", filter: { site: site() }, rowsMax: 1 });
  return (await statesOf()).reduce((sum, { inHand }) => sum + inHand, queue.total.entries);
}

test("a requeue of a suspended site makes one probe of all processes, at once, and its success lets the mail flow", async () => {
  await accept();
  await until("both leave it alone", async () => {
    const states = await statesOf();
    return states.length === 2 && states.every(({ state }) => state === "suspended");
  });
  await Promise.all(Array.from({ length: messages - 1 }, accept));
  await until(
    "all mail waits, in the queue and at the processes",
    async () => (await waiting()) === messages,
  );

  const probed = Promise.withResolvers<void>();
  sink = await startSink(
    {
      async onMessage() {
        await probed.promise;
        return "250 2.0.0 ok";
      },
    },
    "127.0.0.1",
    port,
  );
  const { received } = sink;
  const connections = () => sink?.connections ?? 0;
  // Both are known to answer: it can be asked once only.
  await answersOf(gateway, "mta.ask-site", { site: "nowhere.test=25", by: "root" }, mtas.length);
  // As the gateway does it.
  const askedMs = performance.now();
  const asked = await gateway.control.askAll("mta.ask-site", { site: site(), by: "root" });
  expect(asked.answers).toEqual([{ rows: 1 }, { rows: 1 }]);
  await gateway.control.ask("mta.act", {
    ...{ action: "requeue", filter: { site: site() }, isDryRun: false, entriesMax: 10_000 },
    ...{ by: "root", why: "it is well again" },
  });
  await until("one message asks", () => received.length > 0);
  // Far earlier than the pause, of 25 s at the least, would have ended.
  expect(performance.now() - askedMs).toBeLessThan(20_000);
  const untilMs = performance.now() + 3_000;
  await until("nobody else does", () => performance.now() > untilMs);
  expect([connections(), received.length]).toEqual([1, 1]);

  probed.resolve();
  await until("all mail arrives", () => new Set(received.map(({ to }) => to)).size === messages, {
    withinMs: 120_000,
  });
  expect((await statesOf()).map(({ state }) => state)).not.toContain("suspended");
}, 300_000);
