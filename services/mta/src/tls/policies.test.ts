/** Policies and reports end to end: a real nats-server with the mta's rights, DNS, HTTPS and mail servers of this process. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { gunzipSync } from "node:zlib";
import type { Bus } from "@tyto/bus";
import { startNats, type TestNats } from "@tyto/bus/testing";
import {
  type AcceptedMessage,
  Address,
  defaultOrganization,
  newMessageId,
  type StoredEvent,
} from "@tyto/contracts";
import { asNodeResolve, createResolver } from "@tyto/dns";
import { type DnsServer, startDns } from "@tyto/dns/testing";
import { type Running, silentLog } from "@tyto/service";
import { authenticate } from "mailauth";
import PostalMime from "postal-mime";
import { readConfig } from "../config.ts";
import { record, setUpSender } from "../sender.testing.ts";
import { start } from "../start.ts";
import { type Sink, startSink } from "../testing.ts";
import type { Demand } from "./demand.ts";
import { createHttps, reachableAddresses } from "./https.ts";
import { createTlsPolicies, type TlsPolicyPorts } from "./policies.ts";
import { createReportMail } from "./report-mail.ts";
import { chainPem, pemOf, startTlsServer, type TlsServer } from "./testing.ts";

const { domain } = record;
const dayMs = 86_400_000;
const noonMs = Math.floor(Date.now() / dayMs) * dayMs + dayMs / 2;

let nats: TestNats;
let dns: DnsServer;
let web: Bun.Server<undefined>;
let sink: Sink;
let [proven, plain]: TlsServer[] = [];
let mta: Running & { url: string };
let bus: Bus;
const events: StoredEvent[] = [];
const posted: { type: string | null; report: unknown }[] = [];
let policyText = "version: STSv1\nmode: enforce\nmx: mx.test\nmax_age: 604800\n";

beforeAll(async () => {
  const pem = chainPem("known");
  web = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    tls: { cert: pem, key: pem },
    async fetch(request) {
      if (request.method === "GET")
        return new Response(policyText, { headers: { "content-type": "text/plain" } });
      const packed = await request.bytes();
      posted.push({
        type: request.headers.get("content-type"),
        report: JSON.parse(gunzipSync(packed).toString()),
      });
      return new Response("", { status: 202 });
    },
  });
  [nats, sink, proven, plain] = await Promise.all([
    startNats({ users: true }),
    startSink(),
    startTlsServer("known"),
    startTlsServer("clear"),
  ]);
  dns = await startDns({
    "_mta-sts.example.org": { TXT: ["v=STSv1; id=1;"] },
    "mta-sts.example.org": { A: ["127.0.0.1"] },
    "reports.test": { A: ["127.0.0.1"] },
    "_smtp._tls.posted.example": { TXT: [`v=TLSRPTv1; rua=https://reports.test:${web.port}/v1`] },
    "_smtp._tls.mailed.example": { TXT: ["v=TLSRPTv1; rua=mailto:tls@mailed.example"] },
  });
  const { url, user, password } = nats.login("mta");
  const config = readConfig({
    NATS_URL: url,
    NATS_USER: user,
    NATS_PASSWORD: password,
    HEALTH_PORT: "0",
    MTA_SECRET: "a secret of the test, long enough",
    BOUNCE_VERP_KEY: "a verp key of the test, long enough",
    MAIL_HOSTNAME: "mail.tyto.example",
    TYTO_DNS_SERVERS: dns.servers.map(({ host, port }) => `${host}:${port}`).join(","),
    MTA_ALLOW_PRIVATE: "true",
    TYTO_ROUTES: `proven.example=mx.test:${proven?.port},plain.example=mx.test:${plain?.port},*=127.0.0.1:${sink.port}`,
    MTA_TLS: "proven.example=verified,plain.example=encrypted",
    MTA_TLS_CA_FILE: `${import.meta.dir}/../../fixtures/tls/authority.pem`,
    MTA_TLS_REPORT_FROM: "tls-reports@example.com",
  });
  dns.set("mx.test", { A: ["127.0.0.1"] });
  const recorder = await nats.connect("recorder");
  await setUpSender(recorder, (event) => events.push(event));
  [mta, bus] = await Promise.all([start(config, silentLog), nats.connect("mta")]);
  await until(async () => (await bus.bucket("DOMAINS").get(domain))?.keys.length === 2);
});
afterAll(async () => {
  await mta.stop();
  await Promise.all([web.stop(true), sink.stop(), proven?.stop(), plain?.stop(), dns.stop(), nats.stop()]);
});

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  for (const giveUpAtMs = performance.now() + 20_000; !(await condition()); ) {
    if (performance.now() > giveUpAtMs) throw new Error("it did not happen in time");
    await Bun.sleep(5);
  }
}

/** Another mta process, as far as TLS policies go. */
function policies(change: Partial<TlsPolicyPorts> = {}, servers = dns.servers) {
  const resolver = createResolver({ servers, timeoutMs: 5_000, triesMax: 1 });
  const https = createHttps({
    addressesOf: (host) => reachableAddresses(host, resolver, true),
    authorities: [pemOf("authority")],
  });
  return createTlsPolicies({
    resolver,
    // Policies are at port 443; nobody may listen there.
    https: (url, request) => {
      const there = new URL(url);
      if (there.port === "") there.port = String(web.port);
      return https(there, request);
    },
    floors: new Map(),
    policies: bus.bucket("STS_POLICIES"),
    tallies: bus.bucket("TLS_TALLIES"),
    claims: bus.bucket("TLS_REPORTS"),
    reporter: { domain: "example.com", contact: "tls-reports@example.com" },
    mailReport: createReportMail({
      domainOf: bus.bucket("DOMAINS").get,
      putBody: bus.bodies.put,
      queue: bus.queue.add,
      now: Date.now,
    }),
    process: newMessageId(),
    now: Date.now,
    random: () => 0,
    log: silentLog,
    ...change,
  });
}
const host = { name: "mx.test", port: 25, isTrusted: false };

test("a policy is fetched by HTTPS, and a process that starts anew keeps to it when DNS and web are gone", async () => {
  const before = await policies().demandOf(host, "Example.org", undefined);
  expect(before.clauses).toEqual([{ policy: "sts", isEnforced: true, needs: "certificate" }]);
  await until(async () => (await bus.bucket("STS_POLICIES").get("example.org")) !== undefined);

  policyText = "gone";
  const after = policies({ https: async () => ({ kind: "failed", isCertificate: false, why: "gone" }) }, [
    { host: "127.0.0.1", port: 9 },
  ]);
  expect((await after.demandOf(host, "example.org", undefined)).key).toBe("certificate");
  expect(await after.policiesOf("example.org", host)).toEqual([
    { name: "MTA-STS", mode: "enforce", say: "Mail servers: mx.test", untilMs: expect.any(Number) },
  ]);
});

const session = (name: string): [Demand, Parameters<ReturnType<typeof policies>["see"]>[1]] => [
  { domain: name, host: "mx.test", clauses: [], serverName: "mx.test", sts: { kind: "none" }, key: "" },
  { encryption: { kind: "not-offered" }, findings: [], ip: "192.0.2.1" },
];

/** Counts two sessions on one day, in two processes, and reports on the next, each as often as it takes until it has arrived. */
async function report(name: string, hasArrived: () => boolean): Promise<void> {
  let nowMs = noonMs;
  const [one, other] = [policies({ now: () => nowMs }), policies({ now: () => nowMs })];
  one.see(...session(name));
  other.see(...session(name));
  await Promise.all([one.saveCounts(), other.saveCounts()]);
  nowMs += dayMs;
  await until(async () => {
    await Promise.all([one.sendReports(), other.sendReports()]);
    return hasArrived();
  });
}
const counts = {
  policies: [
    {
      policy: { "policy-type": "no-policy-found" },
      summary: { "total-failure-session-count": 2 },
      "failure-details": [{ "result-type": "starttls-not-supported", "failed-session-count": 2 }],
    },
  ],
};

test("a report goes by HTTPS to whoever wants it so, once for all processes", async () => {
  await report("posted.example", () => posted.length > 0);
  expect(posted).toMatchObject([{ type: "application/tlsrpt+gzip", report: counts }]);
});

test("a report goes by mail through the queue, signed by the domain it comes from", async () => {
  await report("mailed.example", () => sink.received.some(({ to }) => to === "tls@mailed.example"));
  const [mail, ...others] = sink.received.filter(({ to }) => to === "tls@mailed.example");
  expect(others).toEqual([]);
  const bytes = Buffer.from(mail?.body ?? "", "latin1");
  const parsed = await PostalMime.parse(bytes);
  expect(parsed.from?.address).toBe("tls-reports@example.com");
  const packed = Buffer.from(parsed.attachments[0]?.content as ArrayBuffer);
  expect(JSON.parse(gunzipSync(packed).toString())).toMatchObject(counts);

  for (const { selector, algorithm, publicKey } of (await bus.bucket("DOMAINS").get(domain))?.keys ?? [])
    dns.set(`${selector}._domainkey.example.com`, {
      TXT: [`v=DKIM1; k=${algorithm.split("-")[0]}; p=${publicKey}`],
    });
  const { dkim } = await authenticate(bytes, {
    ip: "192.0.2.1",
    helo: "h",
    sender: "b@bounces.example.com",
    mta: "test",
    resolver: asNodeResolve(createResolver({ servers: dns.servers })) as never,
  });
  expect(dkim.results.map(({ status }) => status.result)).toEqual(["pass", "pass"]);
});

test("sessions by a route of the operator are nobody's to report", async () => {
  const own = policies();
  const demand = await own.demandOf({ ...host, isTrusted: true }, "posted.example", undefined);
  own.see(demand, session("posted.example")[1]);
  expect(own.status().reports.domains).toBe(0);
  own.see(...session("posted.example"));
  expect(own.status().reports.domains).toBe(1);
});

test("a domain without keys here cannot be reported from, and that is said", async () => {
  const mail = createReportMail({
    domainOf: bus.bucket("DOMAINS").get,
    putBody: bus.bodies.put,
    queue: bus.queue.add,
    now: Date.now,
  });
  const tally = { day: "2026-11-20", domain: "example.org", policies: [] };
  const from = { domain: "nokeys.example", contact: "a@nokeys.example" };
  expect(await mail(tally, from, "b@example.org", new Uint8Array())).toContain("has no signing keys here");
});

async function submit(to: string): Promise<string> {
  const messageId = newMessageId();
  const gateway = await nats.connect("gateway");
  const body = Buffer.from(`From: ann@example.com\r\nTo: ${to}\r\nSubject: hi\r\n\r\nHello\r\n`);
  const message: AcceptedMessage = {
    id: `${messageId}.accepted`,
    at: Date.now(),
    organizationId: defaultOrganization,
    messageId,
    messageIdHeader: "1@example.com",
    from: Address.parse("ann@example.com"),
    domain,
    subject: "hi",
    recipients: [{ address: Address.parse(to), role: "to" }],
    bodyBytes: body.length,
    bodyChunks: await gateway.bodies.put(messageId, body),
    attachments: 0,
    tags: [],
    metadata: {},
    expiresAt: Date.now() + dayMs,
  };
  await gateway.publish("mail.accepted", message);
  return messageId;
}
const outcomeOf = async (messageId: string): Promise<StoredEvent> => {
  const isOutcome = ({ subject, payload }: StoredEvent) =>
    subject !== "mail.accepted" && "messageId" in payload && payload.messageId === messageId;
  await until(() => events.some(isOutcome));
  const found = events.find(isOutcome);
  if (found === undefined) throw new Error("it was there a moment ago");
  return found;
};

test("what the operator asks binds routes too, and the event tells certificate and policy", async () => {
  const { subject, payload } = await outcomeOf(await submit("bob@proven.example"));
  expect([subject, payload]).toMatchObject([
    "mail.delivered",
    {
      conversation: {
        tls: {
          authorized: true,
          certificate: {
            subject: "CN=mx.test",
            issuer: "CN=Test authority, O=Tyto tests",
            fingerprint: expect.stringMatching(/^[0-9a-f]{64}$/),
          },
          policies: [{ policy: "floor", isEnforced: true }],
        },
      },
    },
  ]);
});

test("a server that does not encrypt gets nothing where encryption is asked, and the message waits", async () => {
  const { subject, payload } = await outcomeOf(await submit("bob@plain.example"));
  expect([subject, payload]).toMatchObject([
    "mail.deferred",
    {
      reason: "network.tls",
      explanation: expect.stringContaining("the setting MTA_TLS for plain.example demands it"),
    },
  ]);
  expect(plain?.commands.filter((command) => command.includes("MAIL"))).toEqual([]);
  const metrics = await (await fetch(`${mta.url}/metrics`)).text();
  expect(metrics).toMatch(/tyto_mta_tls_sessions_total\{[^}]*result="starttls-not-supported"[^}]*\} [1-9]/);
});
