import { afterAll, beforeAll, expect, test } from "bun:test";
import { createResolver, type Resolver } from "@tyto/dns";
import { type DnsServer, startDns } from "@tyto/dns/testing";
import { findAddresses, findPath, type Host, scopeOf } from "./mx.ts";
import { parseRoutes } from "./routes.ts";

const mx = (preference: number, exchange: string) => ({ preference, exchange });

let dns: DnsServer;
let resolver: Resolver;
beforeAll(async () => {
  dns = await startDns({
    "example.com": {
      MX: [
        mx(20, "b.example.com"),
        mx(10, "a1.example.com"),
        mx(10, "a2.example.com"),
        mx(30, "c.example.com"),
      ],
    },
    "many.example.com": {
      A: ["198.41.0.1", "198.41.0.2", "198.41.0.3", "198.41.0.4", "198.41.0.5"],
      AAAA: ["2a00::1", "2a00::2"],
    },
    "a1.example.com": { A: ["198.41.0.4", "10.0.0.1"], AAAA: ["2a00::1"] },
    "plain.example": { A: ["198.41.0.4"] },
    "nothing.example": { TXT: ["v=spf1 -all"] },
    "null.example": { MX: [mx(0, "")] },
    "alias.example": { CNAME: ["example.com"] },
    "ours.example": {
      MX: [
        mx(10, "first.example"),
        mx(20, "Mail.Tyto.example"),
        mx(20, "same.example"),
        mx(30, "later.example"),
      ],
    },
    "self.example": { MX: [mx(10, "mail.tyto.example"), mx(20, "other.example")] },
    "broken.example": "servfail",
    "inside.example": { A: ["10.1.2.3", "192.168.0.1"], AAAA: ["fd00::1"] },
    "loopback.example": { A: ["127.0.0.1"], AAAA: ["::1"] },
    "half.example": { A: ["198.41.0.4"], AAAA: [] },
    "literal.example": { MX: [mx(10, "127.0.0.1")] },
    "wide.example": { MX: Array.from({ length: 40 }, (_, i) => mx(i, `m${i}.wide.example`)) },
    "m1.wide.example": { A: ["198.41.0.4"] },
  });
  resolver = createResolver({ servers: dns.servers, timeoutMs: 5_000, triesMax: 1 });
});
afterAll(() => dns.stop());

const pathOf = (domain: string, routes = "", random: () => number = () => 0) =>
  findPath(domain, {
    resolver,
    routes: parseRoutes(routes),
    ownHost: "mail.tyto.example",
    smtpPort: 25,
    random,
  });
const hostsOf = async (domain: string, random?: () => number) => {
  const path = await pathOf(domain, "", random);
  return path.kind === "hosts" ? path.hosts.map(({ name }) => name) : path;
};

test("MX hosts come by preference, equal ones in random order", async () => {
  const ascending = [0.1, 0.2, 0.3, 0.4];
  const descending = ascending.toReversed();
  expect(await hostsOf("example.com", () => ascending.shift() ?? 0)).toEqual([
    "a1.example.com",
    "a2.example.com",
    "b.example.com",
    "c.example.com",
  ]);
  expect(await hostsOf("example.com", () => descending.shift() ?? 0)).toEqual([
    "a2.example.com",
    "a1.example.com",
    "b.example.com",
    "c.example.com",
  ]);
});

test("a domain without MX records is its own mail server", async () => {
  expect(await hostsOf("plain.example")).toEqual(["plain.example"]);
});

test("an alias leads to the MX records of its target", async () => {
  expect(await hostsOf("alias.example")).toHaveLength(4);
});

test.each<[string, boolean, string]>([
  ["null.example", true, "domain.takes-no-mail"],
  ["absent.example", true, "domain.unknown"],
  ["broken.example", false, "network.dns"],
  ["self.example", true, "routing.loop"],
  [`${"a".repeat(64)}.example`, true, "domain.unknown"],
])("%s has no path (permanent: %p), reason %s", async (domain, isPermanent, reason) => {
  expect(await pathOf(domain)).toMatchObject({ kind: "none", isPermanent, reason });
});

test("hosts as good as ourselves or worse are left out, so that mail cannot circle", async () => {
  expect(await hostsOf("ours.example")).toEqual(["first.example"]);
});

test("a long MX set is cut", async () => {
  expect(await hostsOf("wide.example")).toHaveLength(20);
});

test("a route wins over DNS, and its host is trusted", async () => {
  const asked = dns.queries.length;
  expect(await pathOf("example.com", "example.com=127.0.0.1:2526")).toEqual({
    kind: "hosts",
    hosts: [{ name: "127.0.0.1", port: 2526, isTrusted: true, isImplicit: false }],
  });
  expect(dns.queries.length).toBe(asked);
});

const host = (name: string, more: Partial<Host> = {}): Host => ({
  name,
  port: 25,
  isTrusted: false,
  isImplicit: false,
  ...more,
});

test("public addresses are used, IPv4 first, and private ones among them are not", async () => {
  expect(await findAddresses(host("a1.example.com"), resolver, false)).toEqual({
    kind: "addresses",
    addresses: ["198.41.0.4", "2a00::1"],
  });
});

test("of many addresses both families are tried", async () => {
  expect(await findAddresses(host("many.example.com"), resolver, false)).toEqual({
    kind: "addresses",
    addresses: ["198.41.0.1", "198.41.0.2", "198.41.0.3", "2a00::1"],
  });
});

test("an address that we speak from is taken to addresses of its family", async () => {
  expect(await findAddresses(host("many.example.com"), resolver, false, 6)).toEqual({
    kind: "addresses",
    addresses: ["2a00::1", "2a00::2"],
  });
  expect(await findAddresses(host("2a00::9"), resolver, false, 4)).toMatchObject({
    kind: "none",
    isPermanent: false,
    reason: "network.unreachable",
  });
});

test.each<[string, Partial<Host>, boolean, string]>([
  ["inside.example", {}, false, "network.unreachable"],
  ["loopback.example", {}, true, "routing.loop"],
  ["127.0.0.1", {}, true, "routing.loop"],
  ["nothing.example", {}, false, "network.dns"],
  ["nothing.example", { isImplicit: true }, true, "domain.takes-no-mail"],
  ["absent.example", {}, false, "network.dns"],
  ["broken.example", {}, false, "network.dns"],
  ["bad host", {}, false, "network.dns"],
])("%s %o gives no address (permanent: %p), reason %s", async (name, more, isPermanent, reason) => {
  expect(await findAddresses(host(name, more), resolver, false)).toMatchObject({
    kind: "none",
    isPermanent,
    reason,
  });
});

test("private addresses are used for routes, and where the operator allows them", async () => {
  for (const [trusted, allowed] of [
    [true, false],
    [false, true],
  ] as const)
    expect(await findAddresses(host("loopback.example", { isTrusted: trusted }), resolver, allowed)).toEqual({
      kind: "addresses",
      addresses: ["127.0.0.1", "::1"],
    });
});

test.each<[string, string]>([
  ["8.8.8.8", "public"],
  ["172.15.0.1", "public"],
  ["172.16.0.1", "private"],
  ["100.64.0.1", "private"],
  ["169.254.169.254", "private"],
  ["192.0.2.1", "private"],
  ["224.0.0.1", "private"],
  ["255.255.255.255", "private"],
  ["0.0.0.0", "this-host"],
  ["127.8.8.8", "this-host"],
  ["::", "this-host"],
  ["::1", "this-host"],
  ["::ffff:127.0.0.1", "this-host"],
  ["::ffff:10.0.0.1", "private"],
  ["::ffff:8.8.8.8", "public"],
  ["64:ff9b::7f00:1", "this-host"],
  ["64:ff9b::808:808", "public"],
  ["fe80::1", "private"],
  ["fc00::1", "private"],
  ["ff02::1", "private"],
  ["2001:db8::1", "private"],
  ["2a00:1450:4001::1a", "public"],
  ["2002:a00:1::1", "private"],
  ["2002:7f00:1::1", "this-host"],
  ["2002:c629:4::1", "public"],
  ["2001:0:4136:e378:8000:63bf:3fff:fdd2", "private"],
  ["2001:200::1", "public"],
  ["3fff:fff::1", "private"],
  ["64:ff9b:1:a00:0:100:808:808", "private"],
])("%s is %s", (ip, scope) => {
  expect(scopeOf(ip)).toBe(scope as ReturnType<typeof scopeOf>);
});
