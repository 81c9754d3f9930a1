/** The mta as a whole with a file of egresses: where mail comes from, and what a new address does not send. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { type Bus, done } from "@tyto/bus";
import { startNats, type TestNats } from "@tyto/bus/testing";
import {
  type AcceptedMessage,
  Address,
  Domain,
  defaultOrganization,
  newMessageId,
  type StoredEvent,
  type Traffic,
} from "@tyto/contracts";
import { type DnsServer, startDns } from "@tyto/dns/testing";
import { type Running, silentLog } from "@tyto/service";
import { readConfig } from "../config.ts";
import { start } from "../start.ts";
import { type Sink, startSink } from "../testing.ts";

setDefaultTimeout(60_000);

const domain = Domain.parse("example.com");
const file = `${tmpdir()}/tyto-sending-${process.pid}.toml`;
let nats: TestNats;
let dns: DnsServer;
let sink: Sink;
let mta: Running;
let gateway: Bus;
let recorder: Bus;
const events: StoredEvent[] = [];

beforeAll(async () => {
  [nats, dns, sink] = await Promise.all([startNats({ users: true }), startDns(), startSink()]);
  await Bun.write(
    file,
    `[egress.known]
ip = "127.0.0.31"
ehlo = "known.example.com"
warming = "warm"

[egress.young]
ip = "127.0.0.32"
ehlo = "young.example.com"
warming = "new"

[pool.transactional]
members = ["known"]

[pool.bulk]
members = ["young"]
`,
  );
  [gateway, recorder] = await Promise.all([nats.connect("gateway"), nats.connect("recorder")]);
  await recorder.bucket("DOMAINS").put(domain, {
    ...{ domain, organizationId: defaultOrganization, keys: [], verified: true },
    returnPathHost: Domain.parse("bounces.example.com"),
  });
  await recorder.consumeBatches("recorder", { batchMax: 200, waitMs: 5 }, async (batch) => {
    for (const { event } of batch) {
      events.push(event);
      if (event.subject === "domain.keyed")
        await recorder.bucket("DOMAINS").put(domain, {
          ...{ domain, organizationId: defaultOrganization, keys: event.payload.keys, verified: true },
          returnPathHost: Domain.parse("bounces.example.com"),
        });
    }
    return done;
  });
  const { url, user, password } = nats.login("mta");
  mta = await start(
    readConfig({
      NATS_URL: url,
      NATS_USER: user,
      NATS_PASSWORD: password,
      HEALTH_PORT: "0",
      MTA_SECRET: "a secret of the test, long enough",
      BOUNCE_VERP_KEY: "a verp key of the test, long enough",
      MAIL_HOSTNAME: "mail.tyto.example",
      MTA_EGRESS_FILE: file,
      TYTO_DNS_SERVERS: dns.servers.map(({ host, port }) => `${host}:${port}`).join(","),
      TYTO_ROUTES: `example.org=127.0.0.1:${sink.port}`,
      RETRY_FIRST_S: "0.3",
    }),
    silentLog,
  );
  await until(() => events.some(({ subject }) => subject === "domain.keyed"));
});
afterAll(async () => {
  await mta.stop();
  await Promise.all([nats.stop(), dns.stop(), sink.stop(), rm(file)]);
});

async function send(traffic: Traffic, count: number): Promise<void> {
  const messageId = newMessageId();
  const body = Buffer.from("Subject: Hello\r\n\r\nHello\r\n");
  const message: AcceptedMessage = {
    ...{ id: `${messageId}.accepted`, at: Date.now(), organizationId: defaultOrganization, messageId },
    ...{ messageIdHeader: `${messageId}@example.com`, from: Address.parse("ann@example.com"), domain },
    subject: "Hello",
    recipients: Array.from({ length: count }, (_, n) => ({
      address: Address.parse(`${traffic}${n}@example.org`),
      role: "to" as const,
    })),
    ...{ bodyBytes: body.length, bodyChunks: await gateway.bodies.put(messageId, body), attachments: 0 },
    ...{ tags: [], metadata: {}, traffic, expiresAt: Date.now() + 86_400_000 },
  };
  await gateway.publish("mail.accepted", message);
}
const delivered = (traffic: Traffic) =>
  events.flatMap((event) =>
    event.subject === "mail.delivered" && event.payload.recipient.startsWith(traffic)
      ? [event.payload.conversation.localIp]
      : [],
  );

test("each kind of mail leaves through its pool; what a new address may not send today waits, and costs no attempt", async () => {
  await send("bulk", 80);
  await send("transactional", 60);
  await until(() => delivered("transactional").length === 60 && delivered("bulk").length >= 40);
  expect(new Set(delivered("transactional"))).toEqual(new Set(["127.0.0.31"]));
  expect(new Set(delivered("bulk"))).toEqual(new Set(["127.0.0.32"]));
  const { queue } = await nats.connect("mta");
  // Four fifths of the first day's fifty; the rest is kept for transactional mail.
  const waiting = async () => {
    let entries = 0;
    for await (const { summary } of queue.scan({ withEntries: false })) entries += summary?.entries ?? 0;
    return entries;
  };
  await until(async () => (await waiting()) === 40);
  expect(delivered("bulk")).toHaveLength(40);
  expect(events.some(({ subject }) => subject === "mail.deferred" || subject === "mail.bounced")).toBe(false);
});

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const endMs = performance.now() + 40_000;
  while (!(await condition())) {
    if (performance.now() > endMs) throw new Error("it did not come to that");
    await Bun.sleep(10);
  }
}
