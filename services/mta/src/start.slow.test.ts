/** The mta as a whole: a real nats-server with the mta's own rights, DNS and mail servers of this process. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import type { Bus } from "@tyto/bus";
import { startNats, type TestNats } from "@tyto/bus/testing";
import {
  type AcceptedMessage,
  Address,
  defaultOrganization,
  deliveryId,
  type MessageId,
  newMessageId,
  type StoredEvent,
  suppressionKey,
} from "@tyto/contracts";
import { asNodeResolve, createResolver } from "@tyto/dns";
import { type DnsServer, startDns } from "@tyto/dns/testing";
import { readReturnPath } from "@tyto/mail";
import { type Running, silentLog } from "@tyto/service";
import { authenticate } from "mailauth";
import { until as eventually } from "../../../test/parts/until.ts";
import { readConfig } from "./config.ts";
import { entriesOf } from "./intake.ts";
import { originOf } from "./origin.ts";
import { record, setUpSender } from "./sender.testing.ts";
import { start } from "./start.ts";
import { type Sink, startSink } from "./testing.ts";

const verpKey = "a verp key of the test, long enough";
const { domain } = record;

let nats: TestNats;
let dns: DnsServer;
let sink: Sink;
let mta: Running & { url: string };
let gateway: Bus;
let recorder: Bus;
const events: StoredEvent[] = [];
const greylisted = new Set<string>();

beforeAll(async () => {
  [nats, dns] = await Promise.all([startNats({ users: true }), startDns()]);
  sink = await startSink({
    onRecipient(address) {
      if (address.startsWith("unknown")) return "550 5.1.1 no such user";
      if (!address.startsWith("grey") || greylisted.has(address)) return undefined;
      greylisted.add(address);
      return "450 4.2.0 Greylisted";
    },
  });
  const { url, user, password } = nats.login("mta");
  const config = readConfig({
    NATS_URL: url,
    NATS_USER: user,
    NATS_PASSWORD: password,
    HEALTH_PORT: "0",
    MTA_SECRET: "a secret of the test, long enough",
    BOUNCE_VERP_KEY: verpKey,
    MAIL_HOSTNAME: "mail.tyto.example",
    TYTO_DNS_SERVERS: dns.servers.map(({ host, port }) => `${host}:${port}`).join(","),
    MTA_ALLOW_PRIVATE: "true",
    TYTO_ROUTES: `example.org=127.0.0.1:${sink.port}`,
    RETRY_FIRST_S: "0.3",
  });
  [gateway, recorder] = await Promise.all([nats.connect("gateway"), nats.connect("recorder")]);
  await setUpSender(recorder, (event) => events.push(event));
  mta = await start(config, silentLog);
  await until(async () => (await recorder.bucket("DOMAINS").get(domain))?.keys.length === 2);
});
afterAll(async () => {
  await mta.stop();
  await Promise.all([sink.stop(), dns.stop(), nats.stop()]);
});

const until = (condition: () => boolean | Promise<boolean>) =>
  eventually("it happens", condition, { everyMs: 5 });

const text = (to: string) =>
  `From: ann@example.com\r\nTo: ${to}\r\nSubject: hi\r\nMessage-ID: <1@example.com>\r\n\r\nHello\r\n`;

async function submit(recipients: string[], more: Partial<AcceptedMessage> = {}): Promise<MessageId> {
  const messageId = more.messageId ?? newMessageId();
  const body = Buffer.from(text(recipients[0] ?? ""));
  const bodyChunks = await gateway.bodies.put(messageId, body);
  await gateway.publish("mail.accepted", {
    id: `${messageId}.accepted`,
    at: Date.now(),
    organizationId: defaultOrganization,
    messageId,
    messageIdHeader: "1@example.com",
    from: Address.parse("ann@example.com"),
    domain,
    subject: "hi",
    recipients: recipients.map((address) => ({ address: Address.parse(address), role: "to" })),
    bodyBytes: body.length,
    bodyChunks,
    attachments: 0,
    tags: [],
    metadata: {},
    expiresAt: Date.now() + 86_400_000,
    ...more,
  });
  return messageId;
}
const subjectsOf = (messageId: MessageId) =>
  events
    .filter(({ payload }) => "messageId" in payload && payload.messageId === messageId)
    .map(({ subject }) => subject);
const eventOf = (messageId: MessageId, subject: string) =>
  events.find(
    (event) =>
      event.subject === subject && "messageId" in event.payload && event.payload.messageId === messageId,
  );

test("a message arrives signed, with a return path of ours, and its delivery is told", async () => {
  const messageId = await submit(["bob@example.org"]);
  await until(() => eventOf(messageId, "mail.delivered") !== undefined);
  expect(eventOf(messageId, "mail.delivered")?.payload).toMatchObject({
    id: `${messageId}-0.1.delivered`,
    attempt: 1,
    reply: { code: 250, enhanced: "2.0.0", text: expect.stringContaining("queued as") },
    conversation: { mx: "127.0.0.1", tls: null },
    dkim: [{ selector: "tyto1r" }, { selector: "tyto1e" }],
  });
  const received = sink.received.find(({ to }) => to === "bob@example.org");
  expect(readReturnPath(received?.from ?? "", verpKey)).toEqual({
    deliveryId: deliveryId(messageId, 0),
    origin: originOf("system", { organizationId: defaultOrganization }),
  });

  const keys = (await recorder.bucket("DOMAINS").get(domain))?.keys ?? [];
  for (const { selector, algorithm, publicKey } of keys)
    dns.set(`${selector}._domainkey.example.com`, {
      TXT: [`v=DKIM1; k=${algorithm.split("-")[0]}; p=${publicKey}`],
    });
  const { dkim } = await authenticate(Buffer.from(received?.body ?? "", "latin1"), {
    ip: "192.0.2.1",
    helo: "h",
    sender: "ann@example.com",
    mta: "test",
    resolver: asNodeResolve(createResolver({ servers: dns.servers })) as never,
  });
  expect(dkim.results.map(({ status }) => status.result)).toEqual(["pass", "pass"]);
});

test("the body of a message to one recipient is dropped after its delivery", async () => {
  const messageId = await submit(["gone@example.org"]);
  await until(() => eventOf(messageId, "mail.delivered") !== undefined);
  const mtaBus = await nats.connect("mta");
  await until(async () =>
    mtaBus.bodies.get(messageId, 1).then(
      () => false,
      () => true,
    ),
  );
});

test("an unknown user is a hard bounce of the recipient's fault", async () => {
  const messageId = await submit(["unknown@example.org", "known@example.org"]);
  await until(() => subjectsOf(messageId).length === 3);
  expect(eventOf(messageId, "mail.bounced")?.payload).toMatchObject({
    recipient: "unknown@example.org",
    reason: "mailbox.unknown",
    fault: "recipient",
    hard: true,
    reply: { code: 550, enhanced: "5.1.1" },
  });
  expect(eventOf(messageId, "mail.delivered")?.payload).toMatchObject({ recipient: "known@example.org" });
});

test("a greylisted recipient is tried again by itself", async () => {
  const messageId = await submit(["grey@example.org"]);
  await until(() => eventOf(messageId, "mail.delivered") !== undefined);
  expect(subjectsOf(messageId)).toEqual(["mail.accepted", "mail.deferred", "mail.delivered"]);
  expect(eventOf(messageId, "mail.deferred")?.payload).toMatchObject({ reason: "greylisted", attempt: 1 });
  expect(eventOf(messageId, "mail.delivered")?.payload).toMatchObject({ attempt: 2 });
});

test("a domain that does not exist bounces without a connection", async () => {
  const messageId = await submit(["bob@nowhere.example"]);
  await until(() => eventOf(messageId, "mail.bounced") !== undefined);
  expect(eventOf(messageId, "mail.bounced")?.payload).toMatchObject({ reason: "domain.unknown" });
});

test("a suppressed recipient gets nothing, and that is told", async () => {
  const address = Address.parse("never@example.org");
  await recorder
    .bucket("SUPPRESSIONS")
    .put(suppressionKey(address), { address, cause: "manual", since: Date.now() });
  const messageId = await submit([address, "other@example.org"]);
  await until(() => subjectsOf(messageId).length === 3);
  expect(eventOf(messageId, "mail.suppressed")?.payload).toMatchObject({ recipient: address });
  expect(sink.received.some(({ to }) => to === address)).toBe(false);
});

test("a scheduled message waits for its time, and a cancelled one is never sent", async () => {
  const cancelled = newMessageId();
  await gateway.bucket("CLAIMS").create(cancelled, { by: "cancelled", at: Date.now() });
  const scheduledAt = Date.now() + 600;
  const [sent] = await Promise.all([
    submit(["later@example.org"], { scheduledAt }),
    submit(["cancelled@example.org"], { scheduledAt, messageId: cancelled }),
  ]);
  await until(() => eventOf(sent, "mail.delivered") !== undefined);
  expect(eventOf(sent, "mail.delivered")?.payload.at).toBeGreaterThanOrEqual(scheduledAt);
  const queue = await nats.connect("mta");
  await until(async () => (await queue.queue.depth()).later === 0);
  await until(async () => (await queue.queue.depth()).ready === 0);
  expect(subjectsOf(cancelled)).toEqual(["mail.accepted"]);
  expect(await gateway.bucket("CLAIMS").get(sent)).toMatchObject({ by: "released" });
});

const metric = async (name: string) => {
  const line = (await (await fetch(`${mta.url}/metrics`)).text()).match(
    new RegExp(`^${name}.* (\\S+)$`, "m"),
  );
  return Number(line?.[1] ?? Number.NaN);
};

test("an entry that comes back after its attempt was over is not sent again", async () => {
  const messageId = await submit(["once@example.org", "twice@example.org"]);
  await until(() => subjectsOf(messageId).length === 3);
  const [first] = entriesOf(eventOf(messageId, "mail.accepted")?.payload as AcceptedMessage);
  if (first === undefined) throw new Error("the message has no entry");
  const repeated = async () => (await metric("tyto_mta_entries_repeated_total")) || 0;
  const before = await repeated();
  // As after a crash of the server that forgot the acknowledgement.
  const other = await nats.connect("mta");
  await other.queue.add([first]);
  await until(async () => (await repeated()) > before);
  expect(sink.received.filter(({ to }) => to === "once@example.org")).toHaveLength(1);
  expect(subjectsOf(messageId)).toHaveLength(3);
});

test("it is ready while NATS is there, and shows its queue and connections", async () => {
  expect((await fetch(`${mta.url}/readyz`)).status).toBe(200);
  const messageId = await submit(["open@example.org"]);
  await until(() => eventOf(messageId, "mail.delivered") !== undefined);
  expect(await metric('tyto_mta_connections{state="open"')).toBeGreaterThan(0);
  // What was answered is acknowledged a moment later.
  await until(async () => (await metric('tyto_mta_queue_messages{state="ready"')) === 0);
  expect(await metric('tyto_mta_attempts_total{outcome="delivered"')).toBeGreaterThan(0);
});
