import { afterAll, beforeAll, expect, test } from "bun:test";
import { freePort } from "../../../test/parts/ports.ts";
import { until } from "../../../test/parts/until.ts";
import { DnsError } from "./errors.ts";
import { asNodeResolve } from "./node-resolve.ts";
import type { RecordType } from "./records.ts";
import { createResolver } from "./resolver.ts";
import { type DnsServer, startDns, type Zone } from "./testing.ts";

const longText = "v=DKIM1; k=rsa; p=".padEnd(600, "A");
const zone: Zone = {
  "example.com": {
    MX: [
      { preference: 20, exchange: "mx2.example.com" },
      { preference: 10, exchange: "mx1.example.com" },
    ],
    TXT: ["v=spf1 -all", ["two ", "parts"]],
    ttlS: 60,
  },
  "mx1.example.com": { A: ["127.0.0.1"], AAAA: ["::1"] },
  "null.example": { MX: [{ preference: 0, exchange: "" }] },
  "alias.example": { CNAME: ["mx1.example.com"] },
  "loop.example": { CNAME: ["loop.example"] },
  "key.example": { TXT: [longText] },
  "huge.example": { TXT: Array.from({ length: 40 }, (_, i) => `${"x".repeat(80)}${i}`) },
  "signed.example": { A: ["192.0.2.1"], MX: [], TLSA: [], authenticated: true },
  "half-signed.example": { CNAME: ["mx1.example.com"], authenticated: true },
  "whole-signed.example": { CNAME: ["signed.example"], authenticated: true },
  "below.deep.example": { A: ["192.0.2.2"] },
  "*.many.example": { A: ["192.0.2.3"] },
  "broken.example": "servfail",
  "refused.example": "refused",
  "silent.example": "drop",
  "noise.example": "garbage",
  "old.example": { A: ["192.0.2.5"], refusesEdns: true },
  "1.2.0.192.in-addr.arpa": { PTR: ["host.example.com"] },
  "_25._tcp.mx1.example.com": {
    TLSA: [{ usage: 3, selector: 1, matchingType: 1, certificate: new Uint8Array(32).fill(7) }],
  },
};

let dns: DnsServer;
beforeAll(async () => {
  dns = await startDns(zone);
});
afterAll(() => dns.stop());

const make = (options: Partial<Parameters<typeof createResolver>[0]> = {}) =>
  createResolver({ servers: dns.servers, timeoutMs: 20_000, triesMax: 2, ...options });
const asked = (name: string) => dns.queries.filter((query) => query.name === name);
const failureOf = (promise: Promise<unknown>) =>
  promise.then(
    () => "no failure",
    (error: unknown) => (error instanceof DnsError ? error.kind : error),
  );

test("each record type comes back typed", async () => {
  const resolver = make();
  expect((await resolver.mx("Example.com")).records).toEqual([
    { preference: 20, exchange: "mx2.example.com" },
    { preference: 10, exchange: "mx1.example.com" },
  ]);
  expect((await resolver.a("mx1.example.com")).records).toEqual(["127.0.0.1"]);
  expect((await resolver.aaaa("mx1.example.com")).records).toEqual(["::1"]);
  expect((await resolver.ptr("192.0.2.1")).records).toEqual(["host.example.com"]);
  expect((await resolver.mx("null.example")).records).toEqual([{ preference: 0, exchange: "" }]);
  expect((await resolver.tlsa("_25._tcp.mx1.example.com")).records[0]).toMatchObject({
    usage: 3,
    selector: 1,
  });
});

test("character-strings of one TXT record are joined, and stay apart in query", async () => {
  const resolver = make();
  expect((await resolver.txt("example.com")).records).toEqual(["v=spf1 -all", "two parts"]);
  expect((await resolver.query("example.com", "TXT")).records[1]).toEqual(["two ", "parts"]);
  expect((await resolver.txt("key.example")).records).toEqual([longText]);
});

test("no such name and no such record are told apart", async () => {
  const resolver = make();
  expect((await resolver.a("nowhere.example")).status).toBe("nxdomain");
  expect((await resolver.mx("mx1.example.com")).status).toBe("nodata");
  expect((await resolver.a("deep.example")).status).toBe("nodata");
});

test("an alias is followed, and the name at its end is told", async () => {
  const answer = await make().a("alias.example");
  expect(answer).toMatchObject({ status: "ok", records: ["127.0.0.1"], canonicalName: "mx1.example.com" });
});

test("the AD bit is told for every type, and only when the whole chain of names is signed", async () => {
  const resolver = make();
  const isSigned = async (name: string, type: RecordType) => (await resolver.query(name, type)).authenticated;
  for (const type of ["A", "AAAA", "MX", "TLSA", "CNAME"] as const)
    expect(await isSigned("signed.example", type)).toBe(true);
  expect(await isSigned("mx1.example.com", "A")).toBe(false);
  expect(await isSigned("whole-signed.example", "A")).toBe(true);
  expect(await isSigned("half-signed.example", "A")).toBe(false);
  expect(await isSigned("half-signed.example", "CNAME")).toBe(true);
  // The cache keeps it too.
  expect(await isSigned("signed.example", "A")).toBe(true);
});

test("the AD bit of a resolver that is not said to validate is not believed", async () => {
  expect((await make({ validates: false }).a("signed.example")).authenticated).toBe(false);
  expect((await make({ validates: true }).a("signed.example")).authenticated).toBe(true);
});

test("an answer that does not fit a datagram comes over TCP", async () => {
  expect((await make().txt("huge.example")).records).toHaveLength(40);
  expect(asked("huge.example").map((query) => query.over)).toEqual(["udp", "tcp"]);
});

test("a server that knows no EDNS is asked without it", async () => {
  expect((await make().a("old.example")).records).toEqual(["192.0.2.5"]);
});

test.each([
  ["broken.example", "refused", {}],
  ["refused.example", "refused", {}],
  ["silent.example", "timeout", { timeoutMs: 60 }],
  ["noise.example", "timeout", { timeoutMs: 60 }],
  ["loop.example", "refused", {}],
])("%s fails as %s after the allowed tries", async (name, kind, options) => {
  const before = asked(name).length;
  expect(await failureOf(make(options).a(name))).toBe(kind);
  // The last question may reach the server after its time is up.
  await until("both were asked", () => asked(name).length - before >= 2, { everyMs: 1 });
  expect(asked(name).length - before).toBe(2);
});

test("a closed port is reported without waiting for the timeout", async () => {
  const servers = [{ host: "127.0.0.1", port: await freePort() }];
  const started = performance.now();
  expect(await failureOf(make({ servers, timeoutMs: 40_000 }).a("example.com"))).toBe("unreachable");
  expect(performance.now() - started).toBeLessThan(20_000);
});

test("the next server is asked when one fails", async () => {
  const gone = { host: "127.0.0.1", port: await freePort() };
  const resolver = make({ servers: [gone, ...dns.servers] });
  expect((await resolver.a("signed.example")).status).toBe("ok");
});

test("a name without a form in DNS fails before a question is sent", async () => {
  const before = dns.queries.length;
  expect(await failureOf(make().mx("a..example"))).toBe("name");
  expect(await failureOf(make().ptr("no address"))).toBe("name");
  expect(dns.queries.length).toBe(before);
});

test("answers are kept for their time, and not longer", async () => {
  let now = 0;
  const resolver = make({ now: () => now });
  const name = "cached.many.example";
  await resolver.a(name);
  now = 299_000;
  expect((await resolver.a(name)).ttlS).toBe(1);
  expect(asked(name)).toHaveLength(1);
  now = 300_000;
  await resolver.a(name);
  expect(asked(name)).toHaveLength(2);
});

test("negative answers and failures are kept too, failures for a second", async () => {
  let now = 0;
  const resolver = make({ now: () => now, triesMax: 1 });
  dns.set("later.example", "servfail");
  await failureOf(resolver.a("later.example"));
  dns.set("later.example", undefined);
  expect(await failureOf(resolver.a("later.example"))).toBe("refused");
  now = 1_000;
  expect((await resolver.a("later.example")).status).toBe("nxdomain");
  dns.set("later.example", { A: ["192.0.2.9"] });
  now = 60_000;
  expect((await resolver.a("later.example")).status).toBe("nxdomain");
  now = 61_000;
  expect((await resolver.a("later.example")).status).toBe("ok");
});

test("fresh goes past the cache and renews it", async () => {
  const resolver = make();
  dns.set("check.example", undefined);
  expect((await resolver.a("check.example")).status).toBe("nxdomain");
  dns.set("check.example", { A: ["192.0.2.9"] });
  expect((await resolver.a("check.example")).status).toBe("nxdomain");
  expect((await resolver.a("check.example", { fresh: true })).status).toBe("ok");
  expect((await resolver.a("check.example")).status).toBe("ok");
});

test("a hundred askers of one name at a time make one question", async () => {
  const resolver = make();
  dns.set("slow.example", { A: ["192.0.2.4"], delayMs: 10 });
  const answers = await Promise.all(Array.from({ length: 100 }, () => resolver.a("slow.example")));
  expect(new Set(answers.map((answer) => answer.records[0]))).toEqual(new Set(["192.0.2.4"]));
  expect(asked("slow.example")).toHaveLength(1);
});

test("more questions than places are all answered", async () => {
  const resolver = make({ inFlightMax: 3 });
  const answers = await Promise.all(Array.from({ length: 50 }, (_, i) => resolver.a(`n${i}.many.example`)));
  expect(answers.every((answer) => answer.status === "ok")).toBe(true);
});

test("answers from elsewhere, with wrong ids, and noise are passed over while the right one is awaited", async () => {
  const relay = await Bun.udpSocket({
    hostname: "127.0.0.1",
    socket: {
      async data(socket, bytes, port, host) {
        const stranger = await Bun.udpSocket({ hostname: "127.0.0.1" });
        stranger.send(forged(bytes, 0), port, host);
        stranger.close();
        socket.send("noise", port, host);
        socket.send(forged(bytes, 1), port, host);
        const genuine = await Bun.udpSocket({
          connect: { hostname: "127.0.0.1", port: dns.servers[0]?.port ?? 0 },
          socket: {
            data(self, reply) {
              socket.send(reply, port, host);
              self.close();
            },
          },
        });
        genuine.send(bytes);
      },
    },
  });
  const resolver = make({ servers: [{ host: "127.0.0.1", port: relay.port }] });
  expect((await resolver.a("signed.example")).records).toEqual(["192.0.2.1"]);
  relay.close();
});

/** The question sent back as an NXDOMAIN answer, with its id shifted. */
function forged(query: Buffer, idShift: number): Buffer {
  const bytes = Buffer.from(query);
  bytes.writeUInt16BE((bytes.readUInt16BE(0) + idShift) & 0xffff, 0);
  bytes.writeUInt16BE(0x8183, 2);
  return bytes;
}

test("in the shape of node:dns, names and records that are absent have their own codes", async () => {
  const resolve = asNodeResolve(make({ triesMax: 1 }));
  const hasty = asNodeResolve(make({ triesMax: 1, timeoutMs: 60 }));
  const codeOf = (name: string, type: string, ask = resolve) =>
    ask(name, type).then(
      () => "none",
      (error: { code: string }) => error.code,
    );
  expect(await resolve("example.com", "MX")).toEqual([
    { exchange: "mx2.example.com", priority: 20 },
    { exchange: "mx1.example.com", priority: 10 },
  ]);
  expect(await resolve("key.example", "TXT")).toEqual([longText.match(/.{1,255}/g) ?? []]);
  expect(await codeOf("nowhere.example", "TXT")).toBe("ENOTFOUND");
  expect(await codeOf("mx1.example.com", "TXT")).toBe("ENODATA");
  expect(await codeOf("broken.example", "TXT")).toBe("ESERVFAIL");
  expect(await codeOf("silent.example", "TXT", hasty)).toBe("ETIMEOUT");
  expect(await codeOf("a..b", "TXT")).toBe("EBADNAME");
});
