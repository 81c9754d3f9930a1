import { afterAll, beforeAll, expect, test } from "bun:test";
import { createResolver, type Resolver } from "@tyto/dns";
import { type DnsServer, startDns } from "@tyto/dns/testing";
import { findTlsa } from "./dane.ts";
import { tlsaOf } from "./testing.ts";

const record = tlsaOf(3, 1, 1, "known");
const signed = { authenticated: true } as const;
const tlsa = { TLSA: [record], ...signed };

let dns: DnsServer;
let resolver: Resolver;
beforeAll(async () => {
  dns = await startDns({
    "mx.example": { A: ["192.0.2.1"], AAAA: ["2001:db8::1"], ...signed },
    "_25._tcp.mx.example": tlsa,
    "_2525._tcp.mx.example": { TLSA: [tlsaOf(3, 1, 1, "other")], ...signed },
    "six.example": { AAAA: ["2001:db8::1"], ...signed },
    "_25._tcp.six.example": tlsa,
    // An alias signed all the way: records at its end come first, then those at its own name.
    "alias.example": { CNAME: ["end.example"], ...signed },
    "end.example": { A: ["192.0.2.1"], ...signed },
    "_25._tcp.end.example": tlsa,
    "own.example": { CNAME: ["bare.example"], ...signed },
    "bare.example": { A: ["192.0.2.1"], ...signed },
    "_25._tcp.own.example": tlsa,
    // A signed alias to a name that is not signed.
    "out.example": { CNAME: ["unsigned.example"], ...signed },
    "unsigned.example": { A: ["192.0.2.1"] },
    "_25._tcp.unsigned.example": tlsa,
    "_25._tcp.out.example": tlsa,
    "lost.example": { CNAME: ["unsigned.example"] },
    "_25._tcp.lost.example": tlsa,
    "half.example": { A: ["192.0.2.1"], AAAA: ["2001:db8::1"] },
    "_25._tcp.half.example": tlsa,
    "failing.example": { A: ["192.0.2.1"], ...signed },
    "_25._tcp.failing.example": "servfail",
    "shared.example": { A: ["192.0.2.1"], ...signed },
    "_25._tcp.shared.example": { CNAME: ["_25._tcp.mx.example"], ...signed },
    "astray.example": { A: ["192.0.2.1"], ...signed },
    "_25._tcp.astray.example": { CNAME: ["_25._tcp.unsigned2.example"], ...signed },
    "_25._tcp.unsigned2.example": { TLSA: [record] },
  });
  resolver = createResolver({ servers: dns.servers, triesMax: 1 });
});
afterAll(() => dns.stop());

const find = async (name: string, port = 25) => {
  const found = await findTlsa({ name, port }, resolver);
  return found.kind === "records" ? found.baseName : found.kind;
};

test("records are found at the port and name of a signed host", async () => {
  expect(await findTlsa({ name: "MX.example", port: 25 }, resolver)).toEqual({
    kind: "records",
    records: [record],
    baseName: "mx.example",
  });
  expect(await find("mx.example", 2525)).toBe("mx.example");
  expect(await find("mx.example", 26)).toBe("none");
  expect(await find("six.example")).toBe("six.example");
});

test("a signed alias is followed to its end, then its own name is asked", async () => {
  expect(await find("alias.example")).toBe("end.example");
  expect(await find("own.example")).toBe("own.example");
});

test("a signed alias out of signed names has records at its own name only", async () => {
  expect(await find("out.example")).toBe("out.example");
});

test("a host or an alias that is not signed is not even asked for", async () => {
  expect(await find("lost.example")).toBe("none");
  expect(await find("half.example")).toBe("none");
  const asked = dns.queries.filter(({ type }) => type === "TLSA").map(({ name }) => name);
  expect(asked).not.toContain("_25._tcp.lost.example");
  expect(asked).not.toContain("_25._tcp.half.example");
});

test("records may stand behind an alias of their own, if that is signed too", async () => {
  expect(await find("shared.example")).toBe("shared.example");
  expect(await find("astray.example")).toBe("none");
});

test("DNS that fails is told as such, with whom it was asked about", async () => {
  expect(await findTlsa({ name: "failing.example", port: 25 }, resolver)).toMatchObject({
    kind: "failed",
    why: expect.stringContaining("failing.example"),
  });
});

test("an IP address and a name without addresses have none", async () => {
  expect(await find("192.0.2.1")).toBe("none");
  expect(await find("nowhere.example")).toBe("none");
});
