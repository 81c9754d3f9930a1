/** Against a real SMTP server with AUTH and TLS, on sockets and with DNS of this process. */
import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { Address } from "@tyto/contracts";
import { createResolver, type Resolver } from "@tyto/dns";
import { type DnsServer, startDns } from "@tyto/dns/testing";
import { SMTPServer, type SMTPServerOptions } from "smtp-server";
import type { Carried } from "../courier.ts";
import type { Mail } from "../smtp.ts";
import { pemOf } from "../tls/testing.ts";
import { type RelaySettings, relay } from "./relay.ts";

let dns: DnsServer;
let resolver: Resolver;
beforeAll(async () => {
  dns = await startDns({ "mx.test": { A: ["127.0.0.1"] }, "other.test": { A: ["127.0.0.1"] } });
  resolver = createResolver({ servers: dns.servers });
});
afterAll(() => dns.stop());

type Got = { user: string; from: string; to: string[]; body: string; secure: boolean };
const stops: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).toReversed()) await stop();
});

async function startRelay(
  more: SMTPServerOptions = {},
): Promise<{ port: number; got: Got[]; users: string[] }> {
  const got: Got[] = [];
  const users: string[] = [];
  const server = new SMTPServer({
    key: pemOf("known"),
    cert: pemOf("known"),
    logger: false,
    disableReverseLookup: true,
    onAuth({ username = "", password }, _session, callback) {
      users.push(username);
      if (password === "right") callback(null, { user: username });
      else callback(new Error("535 5.7.8 no"));
    },
    onData(stream, session, callback) {
      const parts: Buffer[] = [];
      stream.on("data", (part: Buffer) => parts.push(part));
      stream.on("end", () => {
        const { mailFrom, rcptTo } = session.envelope;
        got.push({
          user: String(session.user),
          from: mailFrom === false ? "" : mailFrom.address,
          to: rcptTo.map(({ address }) => address),
          body: Buffer.concat(parts).toString(),
          secure: session.secure,
        });
        callback();
      });
    },
    ...more,
  });
  server.on("error", () => {});
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  stops.push(() => new Promise((resolve) => server.close(() => resolve())));
  return { port: address.port, got, users };
}

/** No server here falls silent, and a busy machine is slow. */
const stepMs = 10_000;
const timeouts = {
  connectMs: stepMs,
  greetingMs: stepMs,
  commandMs: stepMs,
  blockMs: stepMs,
  finalMs: stepMs,
  messageMs: stepMs,
};
const mail: Mail = {
  envelopeId: "01mcc5rm007956dzmhnd2x7ryp-0",
  from: Address.parse("b+1@bounces.example.com"),
  to: Address.parse("bob@example.org"),
  parts: [Buffer.from("DKIM-Signature: x\r\n"), Buffer.from("Subject: hi\r\n\r\n.dot\r\n")],
  has8Bit: false,
};
const message = "DKIM-Signature: x\r\nSubject: hi\r\n\r\n.dot\r\n";

async function send(port: number, more: Partial<RelaySettings> = {}, times = 1): Promise<Carried[]> {
  const provider = relay(
    {
      host: "mx.test",
      port,
      credentials: { user: "tyto", password: "right" },
      tls: "required",
      atOnceMax: 2,
      ...more,
    },
    { resolver, ehloName: "mail.tyto.test", timeouts, authorities: [pemOf("authority")], now: Date.now },
  );
  stops.push(async () => provider.close());
  const carried: Carried[] = [];
  for (let i = 0; i < times; i++)
    carried.push(
      await provider.carry(async () => mail, {
        waitMs: stepMs,
        hold: (release) => release(),
        signal: new AbortController().signal,
      }),
    );
  return carried;
}

test("the message goes as it is, with our return path, authenticated and encrypted, over one connection", async () => {
  const { port, got, users } = await startRelay();
  const [first, second] = await send(port, {}, 2);
  expect(first).toMatchObject({
    kind: "accepted",
    reply: { code: 250 },
    conversation: {
      mx: "mx.test",
      ip: "127.0.0.1",
      provider: "smtp",
      reused: false,
      tls: { authorized: true },
    },
  });
  expect(second).toMatchObject({ kind: "accepted", conversation: { reused: true } });
  expect(got).toEqual(
    Array(2).fill({
      user: "tyto",
      from: "b+1@bounces.example.com",
      to: ["bob@example.org"],
      body: message,
      secure: true,
    }),
  );
  expect(users).toEqual(["tyto"]);
});

test("AUTH LOGIN serves where PLAIN is not offered", async () => {
  const { port, got } = await startRelay({ authMethods: ["LOGIN"] });
  expect(await send(port)).toMatchObject([{ kind: "accepted" }]);
  expect(got[0]?.user).toBe("tyto");
});

test("a wrong password waits for the right one, and its words stand nowhere", async () => {
  const { port, got } = await startRelay();
  const carried = await send(port, { credentials: { user: "tyto", password: "wrong-password" } });
  expect(carried).toMatchObject([
    { kind: "failed", isPermanent: false, reason: "local.trouble", isInDoubt: false },
  ]);
  expect(JSON.stringify(carried)).not.toMatch(/wrong-password|AHR5dG8/);
  expect(got).toEqual([]);
});

test.each([
  ["that encrypts nothing", { disabledCommands: ["STARTTLS"] }, "mx.test"],
  ["whose certificate is a stranger's", { key: pemOf("unknown"), cert: pemOf("unknown") }, "mx.test"],
  ["whose certificate has another name", {}, "other.test"],
] as const)("a relay %s hears no password and gets no mail", async (_what, options, host) => {
  const { port, got, users } = await startRelay(options as SMTPServerOptions);
  expect(await send(port, { host })).toMatchObject([
    { kind: "failed", isPermanent: false, reason: "network.tls" },
  ]);
  expect([got, users]).toEqual([[], []]);
});

test("without TLS and without a user only where the operator says so", async () => {
  const { port, got } = await startRelay({ disabledCommands: ["STARTTLS"], authOptional: true });
  expect(await send(port, { tls: "none", credentials: undefined })).toMatchObject([{ kind: "accepted" }]);
  expect(got).toMatchObject([{ secure: false, body: message }]);
});

test("a refused recipient is the message's end; a relay that wants another account is ours to mend", async () => {
  const refusing = (code: number, words: string): SMTPServerOptions => ({
    onRcptTo(_address, _session, callback) {
      callback(Object.assign(new Error(words), { responseCode: code }));
    },
  });
  const unknown = await startRelay(refusing(550, "5.1.1 no such user"));
  expect(await send(unknown.port)).toMatchObject([
    { kind: "refused", reply: { code: 550 }, conversation: { provider: "smtp" } },
  ]);
  const account = await startRelay(refusing(530, "5.7.0 Authentication required"));
  expect(await send(account.port)).toMatchObject([
    { kind: "failed", isPermanent: false, reason: "local.trouble", reply: { code: 530 } },
  ]);
});

test("a relay that DNS does not know bounces nothing", async () => {
  expect(await send(25, { host: "nowhere.test" })).toMatchObject([{ kind: "failed", isPermanent: false }]);
});
