/** Hosts that have to prove who they are. What one host and its policies may be stands in fixtures/tls/cases. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { Address } from "@tyto/contracts";
import { createResolver, type Resolver } from "@tyto/dns";
import { type DnsServer, startDns } from "@tyto/dns/testing";
import { carry } from "./courier.ts";
import type { Host } from "./mx.ts";
import { openHost } from "./opening.ts";
import type { Failed } from "./outcome.ts";
import { createPool, fixedLimits } from "./pool/pool.ts";
import { wantOf } from "./testing.ts";
import { demandOf } from "./tls/demand.ts";
import type { OpenedSession } from "./tls/outcomes.ts";
import { pemOf, startTlsServer } from "./tls/testing.ts";

const stepMs = 10_000;
const timeouts = {
  connectMs: stepMs,
  greetingMs: stepMs,
  commandMs: stepMs,
  blockMs: stepMs,
  finalMs: stepMs,
  messageMs: stepMs,
};

let dns: DnsServer;
let resolver: Resolver;
beforeAll(async () => {
  dns = await startDns({ "mx.test": { A: ["127.0.0.1"] } });
  resolver = createResolver({ servers: dns.servers });
});
afterAll(() => dns.stop());

const seen: OpenedSession[] = [];
const poolOf = (restMs = 0) =>
  createPool<Failed>({
    open: (host, _want, signal) =>
      openHost(
        host,
        {
          resolver,
          egress: { id: "test", ehloName: "mail.tyto.example" },
          timeouts,
          allowPrivate: true,
          authorities: [pemOf("authority")],
          see: (_demand, session) => void seen.push(session),
        },
        signal,
      ),
    connectionsMax: 10,
    limits: fixedLimits(5, 10),
    idleMax: 5,
    idleMsMax: 5_000,
    restMs,
    now: Date.now,
    random: Math.random,
  });
const hostAt = (port: number): Host => ({ name: "mx.test", port, isTrusted: false, isImplicit: false });
const policy = { mode: "enforce", mx: ["mx.test"], maxAgeS: 60 } as const;
const go = (ports: number[], pool = poolOf()) =>
  carry(
    async () => ({
      envelopeId: "id",
      from: Address.parse("b@bounces.example.com"),
      to: Address.parse("bob@example.org"),
      parts: [Buffer.from("Subject: x\r\n\r\nHello\r\n")],
      has8Bit: false,
    }),
    ports.map(hostAt),
    wantOf("site"),
    pool,
    {
      siteWaitMs: 10_000,
      signal: new AbortController().signal,
      hold: (release) => release(),
      demandOf: async ({ name }) =>
        demandOf({
          domain: "example.org",
          host: name,
          isHostCertain: false,
          floor: "opportunistic",
          sts: { kind: "policy", id: "1", policy },
          dane: { kind: "none" },
          requireTls: undefined,
        }),
    },
  );

test("the next host takes the message when the first ones cannot prove who they are, or do not encrypt", async () => {
  const servers = await Promise.all(
    ["unknown", "clear", "broken", "known"].map((mode) => startTlsServer(mode)),
  );
  const result = await go(servers.map(({ port }) => port));
  expect(result).toMatchObject({ kind: "accepted", conversation: { tls: { authorized: true } } });
  const mails = servers.map(({ commands }) => commands.filter((line) => line.includes("MAIL")).length);
  expect(mails).toEqual([0, 0, 0, 1]);
  await Promise.all(servers.map((server) => server.stop()));
});

test("a host that does not meet what is asked costs one connection for a whole queue, and is counted once", async () => {
  const server = await startTlsServer("unknown");
  const pool = poolOf(60_000);
  seen.length = 0;
  const first = await go([server.port], pool);
  expect([first, await go([server.port], pool)]).toEqual([first, first]);
  expect(first).toMatchObject({ kind: "failed", isPermanent: false, reason: "network.tls" });
  expect(server.commands.filter((line) => line.startsWith("EHLO"))).toHaveLength(1);
  expect(seen).toMatchObject([{ ip: "127.0.0.1", findings: [{ policy: "sts", isEnforced: true }] }]);
  await server.stop();
});

test("a session that met what is asked carries the next message, which tells the same", async () => {
  const server = await startTlsServer("known");
  const pool = poolOf();
  const results = [await go([server.port], pool), await go([server.port], pool)];
  const policies = [{ policy: "sts", isEnforced: true }];
  expect(results).toMatchObject([
    { conversation: { reused: false, tls: { policies } } },
    { conversation: { reused: true, tls: { policies } } },
  ]);
  expect(server.commands.filter((line) => line === "STARTTLS")).toHaveLength(1);
  pool.close();
  await server.stop();
});

test("the server hears the name that it has to prove", async () => {
  const server = await startTlsServer("known");
  await go([server.port]);
  expect(server.serverNames).toEqual(["mx.test"]);
  await server.stop();
});

test("what came of each address is told: an answer, or why there was no connection; a proxy's trouble is not", async () => {
  const heard: unknown[] = [];
  // Nobody listens at port 1.
  const closed = 1;
  const server = await startTlsServer("clear");
  const open = (port: number, proxy?: string) =>
    openHost(
      hostAt(port),
      {
        ...{ resolver, timeouts, allowPrivate: true },
        egress: { id: "test", ehloName: "mail.tyto.example", ...(proxy === undefined ? {} : { proxy }) },
        tried: (ip, came) => void heard.push([ip, came]),
      },
      undefined,
    );
  const session = await open(server.port);
  if (!("failure" in session)) session.quit();
  await open(closed);
  await open(server.port, `socks5://127.0.0.1:${closed}`);
  expect(heard).toEqual([
    ["127.0.0.1", { kind: "answer" }],
    ["127.0.0.1", { kind: "nothing", why: "ECONNREFUSED" }],
  ]);
  await server.stop();
});
