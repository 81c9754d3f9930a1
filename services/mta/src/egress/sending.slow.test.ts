/** The mta as a whole with a file of egresses: where mail comes from, and what a new address does not send. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import type { Bus } from "@tyto/bus";
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
import { readReturnPath } from "@tyto/mail";
import { type Running, silentLog } from "@tyto/service";
import { answersOf } from "../answers.testing.ts";
import { readConfig } from "../config.ts";
import { setUpSender } from "../sender.testing.ts";
import { start } from "../start.ts";
import { type Sink, startSink } from "../testing.ts";

setDefaultTimeout(120_000);

const domain = Domain.parse("example.com");
const verpKey = "a verp key of the test, long enough";
const rulesFile = `${tmpdir()}/tyto-sending-${process.pid}.json`;
const file = `${tmpdir()}/tyto-sending-${process.pid}.toml`;
let nats: TestNats;
let dns: DnsServer;
let sink: Sink;
let mta: Running;
let gateway: Bus;
let recorder: Bus;
const events: StoredEvent[] = [];

beforeAll(async () => {
  [nats, dns, sink] = await Promise.all([
    startNats({ users: true }),
    startDns(),
    startSink({
      onRecipient: (address) =>
        address.startsWith("listed") ? "554 5.7.1 Client host blocked using a list" : undefined,
    }),
  ]);
  await Bun.write(
    rulesFile,
    JSON.stringify({
      rules: [
        {
          ...{
            id: "elsewhere",
            about: "They have this address on a list",
            when: { pattern: "blocked using" },
          },
          ...{ threshold: { count: 2, withinS: 60 }, action: "switch-pool", pool: "spare", forS: 3_600 },
        },
      ],
    }),
  );
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

[egress.spare]
ip = "127.0.0.33"
ehlo = "spare.example.com"
warming = "warm"

[pool.transactional]
members = ["known"]

[pool.bulk]
members = ["young"]

[pool.spare]
members = ["spare"]
`,
  );
  [gateway, recorder] = await Promise.all([nats.connect("gateway"), nats.connect("recorder")]);
  await setUpSender(recorder, (event) => events.push(event));
  const { url, user, password } = nats.login("mta");
  mta = await start(
    readConfig({
      NATS_URL: url,
      NATS_USER: user,
      NATS_PASSWORD: password,
      HEALTH_PORT: "0",
      MTA_SECRET: "a secret of the test, long enough",
      BOUNCE_VERP_KEY: verpKey,
      MAIL_HOSTNAME: "mail.tyto.example",
      MTA_EGRESS_FILE: file,
      MTA_RULES_FILE: rulesFile,
      TYTO_DNS_SERVERS: dns.servers.map(({ host, port }) => `${host}:${port}`).join(","),
      MTA_ALLOW_PRIVATE: "true",
      TYTO_ROUTES: `example.org=127.0.0.1:${sink.port}`,
      RETRY_FIRST_S: "0.3",
    }),
    silentLog,
  );
  await until(async () => (await recorder.bucket("DOMAINS").get(domain))?.keys.length === 2);
});
afterAll(async () => {
  await mta.stop();
  await Promise.all([nats.stop(), dns.stop(), sink.stop(), rm(file), rm(rulesFile)]);
});

async function send(traffic: Traffic, count: number, name: string = traffic): Promise<void> {
  const messageId = newMessageId();
  const body = Buffer.from("Subject: Hello\r\n\r\nHello\r\n");
  const message: AcceptedMessage = {
    ...{ id: `${messageId}.accepted`, at: Date.now(), organizationId: defaultOrganization, messageId },
    ...{ messageIdHeader: `${messageId}@example.com`, from: Address.parse("ann@example.com"), domain },
    subject: "Hello",
    recipients: Array.from({ length: count }, (_, n) => ({
      address: Address.parse(`${name}${n}@example.org`),
      role: "to" as const,
    })),
    ...{ bodyBytes: body.length, bodyChunks: await gateway.bodies.put(messageId, body), attachments: 0 },
    ...{ tags: [], metadata: {}, traffic, expiresAt: Date.now() + 86_400_000 },
  };
  await gateway.publish("mail.accepted", message);
}
const delivered = (name: string) =>
  events.flatMap((event) =>
    event.subject === "mail.delivered" && event.payload.recipient.startsWith(name)
      ? [event.payload.conversation.localIp]
      : [],
  );

/** When the first mail was sent. */
let begunMs = 0;
/** Less than the minute that pools tell of. */
const surelyCountedMs = 50_000;

test("each kind of mail leaves through its pool; what a new address may not send today waits, and costs no attempt", async () => {
  begunMs = performance.now();
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

test("pools tell the connections of their addresses and what came of the last minute", async () => {
  const egressOf = async (name: string) => {
    const answers = await answersOf(gateway, "mta.pools", {});
    return answers[0]?.pools.find(({ pool }) => pool === name)?.egresses[0];
  };
  await send("transactional", 1, "kept");
  await until(async () => ((await egressOf("transactional"))?.connections ?? 0) > 0);
  await until(() => delivered("kept").length === 1);
  const known = await egressOf("transactional");
  const young = await egressOf("bulk");
  // On a machine that stands still the first mails may be more than a minute old.
  const areAllCounted = performance.now() - begunMs < surelyCountedMs;
  expect(known).toMatchObject({ egress: "known", lastMinute: { deferred: 0, bounced: 0 } });
  expect(known?.lastMinute.delivered).toBeWithin(areAllCounted ? 61 : 1, 62);
  expect(young?.lastMinute.delivered).toBeWithin(areAllCounted ? 40 : 0, 41);
  expect(await egressOf("spare")).toMatchObject({ connections: 0, lastMinute: { delivered: 0 } });
});

test("a rule sends a site's mail by another pool, and the site says so with the reason", async () => {
  await send("transactional", 2, "listed");
  await until(() => events.filter(({ subject }) => subject === "mail.bounced").length === 2);
  await send("transactional", 5, "moved");
  await until(() => delivered("moved").length === 5);
  expect(new Set(delivered("moved"))).toEqual(new Set(["127.0.0.33"]));

  const answers = await answersOf(gateway, "mta.replies", { site: `127.0.0.1=${sink.port}` });
  const moved =
    /what left from known leaves by the pool spare until \d\d:\d\d UTC, by the rule elsewhere: They have this address on a list \(2 times\): 554 Client host/;
  // Before it stands why the bulk mail of the first test still waits there.
  const waits = /^no address of the pool bulk may send bulk mail now; young: day 1 /;
  const { state, why = "" } = answers[0]?.state ?? {};
  expect(state).toBe("slowed");
  expect(why).toMatch(waits);
  expect(why).toMatch(moved);
  expect(answers[0]?.state?.limits.find(({ egress }) => egress === "known")).toMatchObject({
    pool: "spare",
    why: expect.stringMatching(moved),
  });
});

test("what a rule does is listed with its reason and its end, and released like a hold", async () => {
  const { measures = [] } = await gateway.control.ask("mta.holds", {});
  expect(measures).toMatchObject([
    {
      ...{ action: "switch-pool", rule: "elsewhere", egress: "known", pool: "spare" },
      why: expect.stringContaining("They have this address on a list (2 times)"),
    },
  ]);
  const [{ key, sinceMs, untilMs } = { key: "", sinceMs: 0, untilMs: 0 }] = measures;
  expect(untilMs - sinceMs).toBe(3_600_000);
  expect(await gateway.control.ask("mta.release", { key, by: "ann" })).toEqual({ wasHeld: true });
  expect(await gateway.control.ask("mta.release", { key, by: "ann" })).toEqual({ wasHeld: false });
  await send("transactional", 2, "back");
  await until(() => delivered("back").length === 2);
  expect(new Set(delivered("back"))).toEqual(new Set(["127.0.0.31"]));
});

test("a complaint finds the address that sent the mail by its return path, and counts for its warming and for the sender", async () => {
  const [sent] = events.flatMap((event) =>
    event.subject === "mail.delivered" && event.payload.recipient.startsWith("bulk") ? [event.payload] : [],
  );
  if (sent === undefined) throw new Error("nothing was delivered");
  const own = readReturnPath(sent.returnPath, verpKey);
  const bounce = await nats.connect("bounce");
  await bounce.publish("mail.complained", {
    ...{ id: `${sent.deliveryId}.1.complained`, at: Date.now(), organizationId: defaultOrganization },
    ...{ messageId: sent.messageId, feedback: "abuse", format: "arf", reporter: "yahoo.com", rawId: "raw1" },
    ...own,
  });
  const { bucket } = await nats.connect("mta");
  const warming = async () => (await bucket("WARMING").get("young"))?.providers.yahoo?.recent?.complained;
  const breakers = async () => {
    const blocks = (await bucket("BREAKERS").get("organization/default"))?.windows[0]?.blocks ?? [];
    return blocks.reduce((sum, { complained }) => sum + complained, 0);
  };
  // Each is stored in its own time.
  await until(async () => (await warming()) === 1 && (await breakers()) === 1);
});

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const endMs = performance.now() + 40_000;
  while (!(await condition())) {
    if (performance.now() > endMs) throw new Error("it did not come to that");
    await Bun.sleep(10);
  }
}
