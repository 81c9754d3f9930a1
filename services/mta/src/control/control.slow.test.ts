/** What operators ask and do, with a whole mta on a real nats-server, asked as the gateway asks. */
import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import type { Bus } from "@tyto/bus";
import { startNats, type TestNats } from "@tyto/bus/testing";
import { Address, newMessageId, type StoredEvent } from "@tyto/contracts";
import { type DnsServer, startDns } from "@tyto/dns/testing";
import { type Log, type Running, silentLog } from "@tyto/service";
import { until } from "../../../../test/parts/until.ts";
import { answersOf } from "../answers.testing.ts";
import { type Config, readConfig } from "../config.ts";
import { record, setUpSender } from "../sender.testing.ts";
import { start } from "../start.ts";
import { type Sink, startSink } from "../testing.ts";

const { domain } = record;

let nats: TestNats;
let dns: DnsServer;
let sink: Sink;
let config: Config;
let mta: Running & { url: string };
/** Hears what the mta of all tests logs. */
let onInfo: (event: string) => void = () => {};
let gateway: Bus;
let recorder: Bus;
const events: StoredEvent[] = [];
/** While true, the server asks to come again later. */
let isBusy = true;

beforeAll(async () => {
  [nats, dns] = await Promise.all([startNats({ users: true }), startDns()]);
  sink = await startSink({
    onRecipient: (address) => (isBusy && !address.startsWith("taken") ? "450 4.2.0 mailbox busy" : undefined),
  });
  const { url, user, password } = nats.login("mta");
  config = readConfig({
    ...{ NATS_URL: url, NATS_USER: user, NATS_PASSWORD: password, HEALTH_PORT: "0" },
    MTA_SECRET: "a secret of the test, long enough",
    BOUNCE_VERP_KEY: "a verp key of the test, long enough",
    MAIL_HOSTNAME: "mail.tyto.example",
    TYTO_DNS_SERVERS: dns.servers.map(({ host, port }) => `${host}:${port}`).join(","),
    MTA_ALLOW_PRIVATE: "true",
    TYTO_ROUTES: `*=127.0.0.1:${sink.port}`,
    RETRY_FIRST_S: "600",
  });
  [gateway, recorder] = await Promise.all([nats.connect("gateway"), nats.connect("recorder")]);
  await setUpSender(recorder, (event) => events.push(event));
  mta = await start(config, { ...silentLog, info: (event) => onInfo(event) });
  await until(
    "there are keys",
    async () => (await recorder.bucket("DOMAINS").get(domain))?.keys.length === 2,
  );
});
beforeEach(async () => {
  isBusy = true;
  await act("bounce", {});
});
afterAll(async () => {
  await mta.stop();
  await Promise.all([sink.stop(), dns.stop(), nats.stop()]);
});

const body = Buffer.from(
  "From: ann@example.com\r\nTo: you\r\nSubject: hi\r\nMessage-ID: <1@example.com>\r\n\r\nHello\r\n",
);

/** Accepted mail, and the ids of it. */
async function submit(recipients: string[], more: { organization?: string; campaign?: string } = {}) {
  const messageId = newMessageId();
  const bodyChunks = await gateway.bodies.put(messageId, body);
  await gateway.publish("mail.accepted", {
    ...{ id: `${messageId}.accepted`, at: Date.now(), messageId, messageIdHeader: "1@example.com", domain },
    organizationId: (more.organization ?? "default") as never,
    ...(more.campaign === undefined ? {} : { campaign: more.campaign }),
    from: Address.parse("ann@example.com"),
    recipients: recipients.map((address) => ({ address: Address.parse(address), role: "to" as const })),
    ...{ subject: "hi", bodyBytes: body.length, bodyChunks, attachments: 0, tags: [], metadata: {} },
    expiresAt: Date.now() + 86_400_000,
  });
  return messageId;
}
const outcomes = (subject: StoredEvent["subject"], messageId?: string) =>
  events.filter(
    (event) =>
      event.subject === subject &&
      (messageId === undefined || ("messageId" in event.payload && event.payload.messageId === messageId)),
  ).length;
/** They are told first, and then put back into the queue. */
const deferred = async (messageId: string, count: number) => {
  await until(`${count} are told`, () => outcomes("mail.deferred", messageId) === count);
  await until(
    `${count} wait`,
    async () => (await act("bounce", { messageId }, { isDryRun: true })).matched === count,
  );
};

const queue = (by: "site" | "organization" | "campaign", filter: object = {}) =>
  gateway.control.ask("mta.queue", { by, filter, rowsMax: 100 });
function act(action: "hold" | "bounce" | "requeue" | "rebind", filter: object, more: object = {}) {
  return gateway.control.ask("mta.act", {
    ...{ action, filter, isDryRun: false, entriesMax: 1_000, by: "root", why: "a test" },
    ...more,
  });
}

test("what waits is counted by site, organisation and campaign, with the time of the next attempt", async () => {
  const first = await submit(["a@one.example", "b@one.example"], {
    organization: "acme",
    campaign: "spring",
  });
  const second = await submit(["c@two.example"], { organization: "other" });
  await Promise.all([deferred(first, 2), deferred(second, 1)]);
  const bySite = await queue("site");
  expect(bySite.total).toMatchObject({ entries: 3, ready: 0, later: 3 });
  expect(bySite.total.nextAtMs).toBeGreaterThan(Date.now());
  expect(bySite.classes.map(({ traffic, entries }) => [traffic, entries])).toEqual([
    ["transactional", 3],
    ["bulk", 0],
  ]);
  expect(bySite.rows.map(({ key, entries }) => [key, entries])).toEqual([[`127.0.0.1=${sink.port}`, 3]]);
  const site = `127.0.0.1=${sink.port}`;
  expect((await queue("organization")).rows.map(({ key, entries, sites }) => [key, entries, sites])).toEqual([
    ["acme", 2, [{ site, entries: 2 }]],
    ["other", 1, [{ site, entries: 1 }]],
  ]);
  const bySender = await queue("campaign", { reason: outcomeReason() });
  expect(bySender.rows.flatMap(({ sites }) => sites)).toContainEqual({ site, entries: 2 });
  expect(bySite.rows[0]?.sites).toBeUndefined();
  expect((await queue("campaign")).rows.map(({ key, entries }) => [key, entries]).toSorted()).toEqual([
    ["", 1],
    ["spring", 2],
  ]);
  expect((await queue("site", { organizationId: "other" })).total.entries).toBe(1);
  expect((await queue("site", { reason: "mailbox.full" })).total.entries).toBe(0);
  expect((await queue("site", { reason: outcomeReason() })).total.entries).toBe(3);
});

const outcomeReason = () => {
  const event = events.findLast(({ subject }) => subject === "mail.deferred");
  return event?.subject === "mail.deferred" ? event.payload.reason : undefined;
};

test("a dry run tells how many and shows some, and changes nothing", async () => {
  const id = await submit(["a@one.example", "b@two.example"]);
  await deferred(id, 2);
  const acted = await act("bounce", { domain: "one.example" }, { isDryRun: true });
  expect(acted).toMatchObject({ matched: 1, touched: 0, inHand: 0 });
  expect(acted.sample).toMatchObject([{ messageId: id, recipient: "a@one.example", attempt: 2 }]);
  expect((await queue("site", { messageId: id })).total.entries).toBe(2);
});

test("given up mail bounces with the operator's words, once, and is not sent", async () => {
  const id = await submit(["a@one.example", "b@two.example"]);
  await deferred(id, 2);
  expect(await act("bounce", { messageId: id, domain: "one.example" })).toMatchObject({
    matched: 1,
    touched: 1,
  });
  expect(await act("bounce", { messageId: id, domain: "one.example" })).toMatchObject({
    matched: 0,
    touched: 0,
  });
  await until("the bounce is told", () => outcomes("mail.bounced", id) === 1);
  const bounced = events.find(
    ({ subject, payload }) =>
      subject === "mail.bounced" && "messageId" in payload && payload.messageId === id,
  );
  expect(bounced?.payload).toMatchObject({
    recipient: "a@one.example",
    reason: "local.trouble",
    hard: false,
    explanation: "given up by the operator: a test",
  });
  isBusy = false;
  await act("requeue", { messageId: id });
  await until("the other one arrives", () => outcomes("mail.delivered", id) === 1);
  expect(sink.received.filter(({ to }) => to === "a@one.example")).toEqual([]);
});

test("requeued mail goes at once, in parts as small as one asks for", async () => {
  const id = await submit(["a@one.example", "b@one.example", "c@one.example"]);
  await deferred(id, 3);
  isBusy = false;
  let after: number | undefined;
  let parts = 0;
  do {
    const { next } = await act(
      "requeue",
      { messageId: id },
      { entriesMax: 1, ...(after === undefined ? {} : { after }) },
    );
    after = next;
    parts++;
  } while (after !== undefined && parts < 20);
  await until("all arrive", () => outcomes("mail.delivered", id) === 3);
  expect(parts).toBeGreaterThan(2);
  // An entry goes when its outcome is stored.
  await until("none waits", async () => (await queue("site", { messageId: id })).total.entries === 0);
});

test("mail that is put off waits until then, and mail that is rebound keeps its time", async () => {
  const id = await submit(["a@one.example", "b@two.example"]);
  await deferred(id, 2);
  const before = (await queue("site", { messageId: id, domain: "two.example" })).total.nextAtMs;
  const untilMs = Date.now() + 7_200_000;
  expect(await act("hold", { messageId: id, domain: "one.example" }, { untilMs })).toMatchObject({
    touched: 1,
  });
  expect(await act("hold", { messageId: id, domain: "one.example" }, { untilMs })).toMatchObject({
    matched: 0,
  });
  // Long waits are rounded up to the minute.
  const { nextAtMs } = (await queue("site", { messageId: id, domain: "one.example" })).total;
  expect(nextAtMs).toBe(Math.ceil(untilMs / 60_000) * 60_000);
  const rebind = () => act("rebind", { messageId: id, domain: "two.example" }, { pool: "default" });
  expect(await rebind()).toMatchObject({ touched: 1 });
  expect(await rebind()).toMatchObject({ matched: 0 });
  expect((await queue("site", { messageId: id, domain: "two.example" })).total.nextAtMs).toBe(before);
});

test("a pool that does not exist takes no mail, and the answer names those that do", async () => {
  const id = await submit(["a@one.example"]);
  await deferred(id, 1);
  for (const isDryRun of [true, false])
    await expect(act("rebind", { messageId: id }, { pool: "nowhere", isDryRun })).rejects.toMatchObject({
      code: "request.invalid",
      hint: "There is no pool nowhere; the pools are default. Nothing was changed",
    });
  expect(await act("rebind", { messageId: id }, { pool: "default" })).toMatchObject({ touched: 1 });
});

test("a site tells its servers and what it answered, equal answers counted once", async () => {
  const id = await submit(["a@one.example", "b@one.example"]);
  await deferred(id, 2);
  const found = await gateway.control.ask("mta.site", { domain: "One.example" });
  const site = `127.0.0.1=${sink.port}`;
  expect(found).toMatchObject({
    domain: "one.example",
    site,
    hosts: [{ name: "127.0.0.1", port: sink.port, addresses: ["127.0.0.1"] }],
  });
  const answers = await answersOf(gateway, "mta.replies", { site });
  expect(answers[0]?.replies.filter(({ reply }) => reply === "450 4.2.0 mailbox busy")).toHaveLength(1);
  expect(answers[0]?.ceiling).toEqual({ connections: config.siteConnectionsMax });
  const state = await answersOf(gateway, "mta.state", {});
  expect(state).toMatchObject([{ connections: { max: 100 }, sites: [{ site, state: "open" }] }]);
  expect(state[0]?.lastMinute.deferred).toBeGreaterThanOrEqual(2);
  expect(await gateway.control.ask("mta.site", { domain: "-" })).toMatchObject({ hosts: expect.anything() });
});

test("what is held is not sent, and goes on at once when it is released, on account of one mta of several", async () => {
  isBusy = false;
  const told: string[] = [];
  const logOf = (name: string): Log => ({
    ...silentLog,
    info: (event) => void (event === "mta.held-mail-back" && told.push(name)),
  });
  const others = await Promise.all(
    ["second", "third"].map((name) => start({ ...config, name }, logOf(name))),
  );
  const heard: string[] = [];
  onInfo = (event) => heard.push(event);
  const hold = await gateway.control.ask("mta.hold", {
    ...{ scope: "domain", id: "held.example", why: "a test", by: "root" },
  });
  // Each question goes to one of them.
  await until("all know of it", async () => {
    // One process answers at most 16 at a time.
    const round = () => Promise.all(Array.from({ length: 12 }, () => gateway.control.ask("mta.holds", {})));
    const told = [...(await round()), ...(await round()), ...(await round())];
    return told.every(({ holds }) => holds.some(({ key }) => key === hold.key));
  });
  expect((await gateway.control.ask("mta.holds", {})).holds).toEqual([hold]);
  const submittedMs = Date.now();
  const id = await submit(["taken@held.example"]);
  // Each process counts for itself, and tells the same count again for a while.
  const { nextAtMs = 0 } = await until("it waits", async () => {
    const { total } = await queue("site", { messageId: id });
    return total.later === 1 ? total : undefined;
  });
  expect(nextAtMs).toBeGreaterThan(submittedMs + 15_000);
  expect(sink.received.filter(({ to }) => to === "taken@held.example")).toEqual([]);
  expect(await gateway.control.ask("mta.release", { key: hold.key, by: "root" })).toEqual({ wasHeld: true });
  await until("it arrives", () => outcomes("mail.delivered", id) === 1);
  expect(Date.now()).toBeLessThan(nextAtMs);
  expect(sink.received.filter(({ to }) => to === "taken@held.example")).toHaveLength(1);
  const who = () =>
    new Set([...told, ...heard.filter((event) => event === "mta.held-mail-back").map(() => "first")]);
  await until("one looked through the queue", () => who().size > 0);
  expect(who().size).toBe(1);
  onInfo = () => {};
  await Promise.all(others.map((one) => one.stop()));
});

test("a sender that is held at one site waits there, is told with its site, and goes on when it is released", async () => {
  isBusy = false;
  const site = `127.0.0.1=${sink.port}`;
  const hold = await gateway.control.ask("mta.hold", {
    ...{ scope: "organization", id: "default", site, why: "a test", by: "root" },
  });
  expect(hold.key).toBe(`organization:default@${site}`);
  const id = await submit(["taken@one.example"]);
  await until("it waits", async () =>
    (await queue("site", { messageId: id })).total.later === 1 ? true : undefined,
  );
  const answers = await answersOf(gateway, "mta.replies", { site });
  expect(answers[0]?.state).toMatchObject({
    state: "open",
    why: expect.stringContaining(`the organization default at ${site} is held by root: a test`),
  });
  await gateway.control.ask("mta.hold", {
    ...{ scope: "organization", id: "default", site: "elsewhere", why: "w", by: "root" },
  });
  expect(await gateway.control.ask("mta.release", { key: hold.key, by: "root" })).toEqual({ wasHeld: true });
  await until("it arrives", () => outcomes("mail.delivered", id) === 1);
  await gateway.control.ask("mta.release", { key: "organization:default@elsewhere", by: "root" });
});

test("a hold that ends by itself is felt when it ends", async () => {
  isBusy = false;
  const untilMs = Date.now() + 1_500;
  await gateway.control.ask("mta.hold", {
    ...{ scope: "domain", id: "soon.example", why: "a test", by: "root", untilMs },
  });
  const id = await submit(["taken@soon.example"]);
  await until("it arrives", () => outcomes("mail.delivered", id) === 1);
  expect(Date.now()).toBeWithin(untilMs, untilMs + 15_000);
});

test("limits that an operator sets are in force, told with who, why and until when, and released", async () => {
  isBusy = false;
  const site = `127.0.0.1=${sink.port}`;
  const limitsNow = async () => {
    const id = await submit(["taken@one.example"]);
    await until("it arrives", () => outcomes("mail.delivered", id) === 1);
    const answers = await answersOf(gateway, "mta.replies", { site });
    return answers[0]?.state;
  };
  const wanted = { site, why: "a test", by: "root", untilMs: Date.now() + 3_600_000, isAboveCeiling: false };
  await expect(
    gateway.control.ask("mta.limit-site", { ...wanted, connectionsMax: 21 }),
  ).rejects.toMatchObject({
    code: "request.invalid",
    issues: [
      { path: "connections", problem: expect.stringContaining("20 connections from one address at most") },
    ],
  });
  const set = await gateway.control.ask("mta.limit-site", { ...wanted, rate: "100/s", connectionsMax: 3 });
  expect((await gateway.control.ask("mta.holds", {})).measures).toEqual([set]);
  const said = expect.stringMatching(
    /^at most 100\/s and 3 connections, set by root until \d\d:\d\d UTC: a test/,
  );
  expect(await limitsNow()).toMatchObject({
    why: said,
    limits: [{ why: said, connectionsMax: 3, ratePerMinuteMax: 6_000 }],
  });
  expect(await gateway.control.ask("mta.release", { key: set.key, by: "root" })).toEqual({ wasHeld: true });
  const after = await limitsNow();
  expect(after).toMatchObject({ state: "open", limits: [{ connectionsMax: 20 }] });
  expect([after?.why, after?.limits[0]?.ratePerMinuteMax]).toEqual([undefined, undefined]);
});

test("what waits because of a limit comes as soon as an operator ends it", async () => {
  isBusy = false;
  const site = `127.0.0.1=${sink.port}`;
  const set = await gateway.control.ask("mta.limit-site", {
    ...{
      site,
      rate: "1/h",
      why: "a test",
      by: "root",
      untilMs: Date.now() + 3_600_000,
      isAboveCeiling: false,
    },
  });
  const first = await submit(["taken@one.example"]);
  await until("the first uses up the hour", () => outcomes("mail.delivered", first) === 1);
  const second = await submit(["taken@one.example"]);
  await until(
    "the second is put off",
    async () => (await queue("site", { messageId: second })).total.later === 1,
  );
  const isBack = Promise.withResolvers<void>();
  onInfo = (event) => event === "mta.held-mail-back" && isBack.resolve();
  expect(await gateway.control.ask("mta.release", { key: set.key, by: "root" })).toEqual({ wasHeld: true });
  await isBack.promise;
  await until("it arrives", () => outcomes("mail.delivered", second) === 1);
  onInfo = () => {};
});

test("limits and rules are told as they are in force", async () => {
  const id = await submit(["taken@one.example"]);
  await until("it arrives", () => outcomes("mail.delivered", id) === 1);
  const answers = await answersOf(gateway, "mta.replies", { site: `127.0.0.1=${sink.port}` });
  expect(answers[0]?.state?.limits).toMatchObject([
    { state: "open", connectionsMax: 20, messagesPerConnection: 100 },
  ]);
  expect((await gateway.control.ask("mta.rules", {})).rules.length).toBeGreaterThan(3);
  const trial = await gateway.control.ask("mta.rules-trial", { sinceMs: Date.now() - 60_000 });
  expect(trial.events).toBeGreaterThan(0);
  const byShare = await gateway.control.ask("mta.rules-trial", {
    sinceMs: Date.now() - 60_000,
    rules: [
      {
        ...{ id: "half", about: "Half of it", when: { code: "4xx" }, action: "suspend-site", forS: 60 },
        threshold: { share: 0.5, attemptsMin: 10, withinS: 60 },
      },
    ],
  });
  expect(byShare).toMatchObject({ trials: [{ rule: "half" }], problems: [] });
  // What was taken is read, too.
  expect(byShare.events).toBeGreaterThan(trial.events);
  expect(await answersOf(gateway, "mta.pools", {})).toMatchObject([{ pools: [{ isDefault: true }] }]);
});

test("a live trace tells the dialogue to the domain that is asked for, and nothing of the message", async () => {
  const lines: string[] = [];
  const listening = new AbortController();
  const following = gateway.control.follow(
    "mta.trace",
    { domain: "one.example" },
    (told) => lines.push(...told.lines.map(({ side, text }) => `${side} ${text}`)),
    listening.signal,
  );
  await until(
    "somebody listens",
    async () => {
      await submit(["taken@one.example"]);
      await submit(["taken@two.example"]);
      return lines.some((line) => line.includes("RCPT TO:<taken@one.example>"));
    },
    { everyMs: 200 },
  );
  await until("the end is told", () => lines.some((line) => line.startsWith("< 250 2.0.0 queued")));
  listening.abort();
  await following;
  expect(lines.join("\n")).not.toContain("two.example");
  expect(lines.join("\n")).not.toContain("Hello");
});
