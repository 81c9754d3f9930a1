/** The mta as a whole, with another carrier for each organisation: who gets what, signed how, and what is told of it. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { type Bus, done } from "@tyto/bus";
import { startNats, type TestNats } from "@tyto/bus/testing";
import {
  Address,
  Domain,
  type DomainRecord,
  type MessageId,
  newMessageId,
  OrganizationId,
  type StoredEvent,
} from "@tyto/contracts";
import { asNodeResolve, createResolver } from "@tyto/dns";
import { type DnsServer, startDns } from "@tyto/dns/testing";
import { type Running, silentLog } from "@tyto/service";
import { authenticate } from "mailauth";
import { until } from "../../../../test/parts/until.ts";
import { readConfig } from "../config.ts";
import { createVault, makeKeys } from "../keys.ts";
import { start } from "../start.ts";
import { type Sink, startSink } from "../testing.ts";
import { startApi, type TestApi } from "./testing.ts";

const secret = "a secret of the test, long enough";
const domain = Domain.parse("example.com");

let nats: TestNats;
let dns: DnsServer;
let sink: Sink;
let relay: Sink;
let ses: TestApi;
let resend: TestApi;
let mta: Running;
let gateway: Bus;
const events: StoredEvent[] = [];

beforeAll(async () => {
  [nats, dns, sink, relay] = await Promise.all([
    startNats({ users: true }),
    startDns(),
    startSink(),
    startSink(),
  ]);
  ses = startApi(() => Response.json({ MessageId: "ses-1" }));
  resend = startApi(() => Response.json({ id: "resend-1" }));
  const recorder = await nats.connect("recorder");
  gateway = await nats.connect("gateway");
  const keys = await makeKeys(domain, createVault(secret));
  for (const { selector, algorithm, publicKey } of keys)
    dns.set(`${selector}._domainkey.example.com`, {
      TXT: [`v=DKIM1; k=${algorithm.split("-")[0]}; p=${publicKey}`],
    });
  const record: DomainRecord = {
    domain,
    organizationId: OrganizationId.parse("default"),
    returnPathHost: Domain.parse("bounces.example.com"),
    keys,
    verified: true,
  };
  await recorder.bucket("DOMAINS").put(domain, record);
  await recorder.consumeBatches("recorder", { batchMax: 200, waitMs: 5 }, async (batch) => {
    for (const { event } of batch) events.push(event);
    return done;
  });
  const { url, user, password } = nats.login("mta");
  const config = readConfig({
    NATS_URL: url,
    NATS_USER: user,
    NATS_PASSWORD: password,
    HEALTH_PORT: "0",
    MTA_SECRET: secret,
    BOUNCE_VERP_KEY: "a verp key of the test, long enough",
    MAIL_HOSTNAME: "mail.tyto.example",
    SITE_URL: "https://mail.example.com",
    TYTO_DNS_SERVERS: dns.servers.map(({ host, port }) => `${host}:${port}`).join(","),
    MTA_ALLOW_PRIVATE: "true",
    TYTO_ROUTES: `example.org=127.0.0.1:${sink.port}`,
    RETRY_FIRST_S: "0.2",
    EMAIL_PROVIDER: "mta",
    EMAIL_PROVIDER_ORGANIZATIONS: "by-ses=ses, by-resend=resend, by-relay=smtp",
    EMAIL_SES_REGION: "eu-west-1",
    EMAIL_SES_ACCESS_KEY_ID: "AKIDTEST",
    EMAIL_SES_SECRET_ACCESS_KEY: "secret",
    EMAIL_SES_URL: String(ses.url),
    EMAIL_RESEND_API_KEY: "re_secret",
    EMAIL_RESEND_URL: String(resend.url),
    EMAIL_SMTP_HOST: "127.0.0.1",
    EMAIL_SMTP_PORT: String(relay.port),
    EMAIL_SMTP_TLS: "none",
  });
  mta = await start(config, silentLog);
});
afterAll(async () => {
  await mta.stop();
  await Promise.all([sink.stop(), relay.stop(), ses.stop(), resend.stop(), dns.stop(), nats.stop()]);
});

async function submit(organization: string, to: string, more: object = {}): Promise<MessageId> {
  const messageId = newMessageId();
  const body = Buffer.from(
    `From: ann@example.com\r\nTo: ${to}\r\nSubject: hi\r\nMessage-ID: <${messageId}@example.com>\r\n` +
      "Date: Fri, 15 Jan 2027 08:00:00 +0000\r\n\r\nHello\r\n",
  );
  const bodyChunks = await gateway.bodies.put(messageId, body);
  await gateway.publish("mail.accepted", {
    id: `${messageId}.accepted`,
    at: Date.now(),
    organizationId: OrganizationId.parse(organization),
    messageId,
    messageIdHeader: `${messageId}@example.com`,
    from: Address.parse("ann@example.com"),
    domain,
    subject: "hi",
    recipients: [{ address: Address.parse(to), role: "to" }],
    bodyBytes: body.length,
    bodyChunks,
    attachments: 0,
    tags: [],
    metadata: {},
    unsubscribe: true,
    expiresAt: Date.now() + 86_400_000,
    ...more,
  });
  return messageId;
}
const outcome = (messageId: MessageId, ...subjects: StoredEvent["subject"][]) =>
  until(
    `${subjects.join(" or ")} is told`,
    () =>
      events.find(
        ({ subject, payload }) =>
          subjects.includes(subject) && "messageId" in payload && payload.messageId === messageId,
      ),
    { everyMs: 5 },
  );
const dkimOf = async (message: Buffer) => {
  const { dkim } = await authenticate(message, {
    ip: "192.0.2.1",
    helo: "h",
    sender: "ann@example.com",
    mta: "test",
    resolver: asNodeResolve(createResolver({ servers: dns.servers })) as never,
  });
  return dkim.results.map(({ status }) => status.result);
};

test("an organisation without a provider of its own goes our own way", async () => {
  const messageId = await submit("default", "own@example.org");
  expect((await outcome(messageId, "mail.delivered")).payload).toMatchObject({
    conversation: { mx: "127.0.0.1" },
    dkim: [{ selector: "tyto1r" }, { selector: "tyto1e" }],
  });
  expect(sink.received.map(({ to }) => to)).toEqual(["own@example.org"]);
});

test("a relay gets the message signed and with our return path; both signatures verify", async () => {
  const messageId = await submit("by-relay", "relayed@nowhere.example");
  expect((await outcome(messageId, "mail.delivered")).payload).toMatchObject({
    conversation: { provider: "smtp", mx: "127.0.0.1" },
    dkim: [{}, {}],
  });
  const [received] = relay.received;
  expect(received).toMatchObject({
    to: "relayed@nowhere.example",
    from: expect.stringMatching(/@bounces\.example\.com$/),
  });
  expect(await dkimOf(Buffer.from(received?.body ?? "", "latin1"))).toEqual(["pass", "pass"]);
});

test("what SES makes of the message still verifies: it writes Message-ID and Date anew, and we do not sign them", async () => {
  const messageId = await submit("by-ses", "ses@nowhere.example");
  expect((await outcome(messageId, "mail.delivered")).payload).toMatchObject({
    conversation: { provider: "ses", providerId: "ses-1" },
    dkim: [{}, {}],
    returnPath: expect.stringMatching(/@bounces\.example\.com$/),
  });
  const { Content } = JSON.parse(ses.asked[0]?.body ?? "{}");
  const sent = Buffer.from(Content.Raw.Data, "base64").toString("latin1");
  expect(sent).toContain("List-Unsubscribe: <https://mail.example.com/u/");
  const rewritten = sent
    .replace(/^Message-ID: .*$/m, "Message-ID: <0100-abc@eu-west-1.amazonses.com>")
    .replace(/^Date: .*$/m, "Date: Fri, 15 Jan 2027 08:00:03 +0000");
  expect(rewritten).not.toBe(sent);
  expect(await dkimOf(Buffer.from(rewritten, "latin1"))).toEqual(["pass", "pass"]);
});

test("Resend gets fields, and nobody claims that our signature went along", async () => {
  const messageId = await submit("by-resend", "resend@nowhere.example");
  expect((await outcome(messageId, "mail.delivered")).payload).toMatchObject({
    conversation: { provider: "resend", providerId: "resend-1" },
    dkim: [],
  });
  expect(JSON.parse(resend.asked[0]?.body ?? "{}")).toMatchObject({
    from: "ann@example.com",
    to: ["resend@nowhere.example"],
    headers: { "List-Unsubscribe-Post": "List-Unsubscribe=One-Click" },
  });
});

test("a limit is tried again, a refusal bounces with the provider's words", async () => {
  let isFirst = true;
  ses.answer = (asked) => {
    if (asked.body.includes("bad@"))
      return Response.json(
        { message: "Illegal header" },
        { status: 400, headers: { "x-amzn-errortype": "BadRequestException" } },
      );
    if (!isFirst) return Response.json({ MessageId: "ses-2" });
    isFirst = false;
    return Response.json(
      { message: "Rate exceeded" },
      { status: 429, headers: { "x-amzn-errortype": "TooManyRequestsException" } },
    );
  };
  const limited = await submit("by-ses", "limited@nowhere.example");
  expect((await outcome(limited, "mail.deferred")).payload).toMatchObject({
    reason: "rate.limited",
    attempt: 1,
  });
  expect((await outcome(limited, "mail.delivered")).payload).toMatchObject({ attempt: 2 });
  const bad = await submit("by-ses", "bad@nowhere.example");
  expect((await outcome(bad, "mail.bounced")).payload).toMatchObject({
    reason: "content.malformed",
    reply: { code: 400, text: "BadRequestException: Illegal header" },
    conversation: { provider: "ses" },
  });
});

test("what requires TLS all the way is not given to who cannot promise it", async () => {
  const before = ses.asked.length;
  const messageId = await submit("by-ses", "private@nowhere.example", { requireTls: true });
  expect((await outcome(messageId, "mail.bounced")).payload).toMatchObject({ reason: "network.tls" });
  expect(ses.asked.length).toBe(before);
});
