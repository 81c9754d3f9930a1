import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { DnsRecordView, DomainView } from "@tyto/contracts";
import { createResolver, type Resolver } from "@tyto/dns";
import { type DnsServer, startDns } from "@tyto/dns/testing";
import { checkRecords, recordsOf, stateOfDomain } from "./dns-records.ts";

const rsaKey = "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA".padEnd(392, "x");
const keys = [
  { selector: "tyto1", algorithm: "rsa-sha256", publicKey: rsaKey },
  {
    selector: "tyto2",
    algorithm: "ed25519-sha256",
    publicKey: "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
  },
] as const;
const hosts = { returnPathHost: "bounces.example.com", mailHostname: "mail.tyto.test", senders: [] };
const wanted = recordsOf("example.com", { keys, next: [], old: [] }, hosts);

let dns: DnsServer;
let resolver: Resolver;
/** For a server that does not answer. */
let hasty: Resolver;
beforeAll(async () => {
  dns = await startDns();
  resolver = createResolver({ servers: dns.servers, timeoutMs: 5_000, triesMax: 1 });
  hasty = createResolver({ servers: dns.servers, timeoutMs: 50, triesMax: 1 });
});
afterAll(() => dns.stop());

test("the records of a domain are those that a provider's form asks for", () => {
  expect(
    wanted.map(({ purpose, type, name, value, required }) => [purpose, type, name, value, required]),
  ).toEqual([
    ["dkim", "TXT", "tyto1._domainkey.example.com", `v=DKIM1; k=rsa; p=${rsaKey}`, true],
    [
      "dkim",
      "TXT",
      "tyto2._domainkey.example.com",
      "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
      true,
    ],
    ["spf", "TXT", "bounces.example.com", "v=spf1 a:mail.tyto.test -all", true],
    ["return-path", "MX", "bounces.example.com", "10 mail.tyto.test", true],
    ["dmarc", "TXT", "_dmarc.example.com", "v=DMARC1; p=none; rua=mailto:dmarc@bounces.example.com", false],
  ]);
});

const recordFor = (purpose: DnsRecordView["purpose"]) => {
  const record = wanted.find((each) => each.purpose === purpose);
  if (record === undefined) throw new Error(purpose);
  return record;
};

describe("a record is", () => {
  test.each([
    ["dkim", [`v=DKIM1; k=rsa; p=${rsaKey}`], "found"],
    ["dkim", [`p=${rsaKey}`], "found"],
    ["dkim", [`k=rsa;t=s;p=${rsaKey.slice(0, 100)} ${rsaKey.slice(100)}; v=DKIM1`], "found"],
    ["dkim", [`v=DKIM1; k=ed25519; p=${rsaKey}`], "different"],
    ["dkim", ["v=DKIM1; p="], "different"],
    ["dkim", [`v=DKIM1; p=${rsaKey}`, `v=DKIM1; p=${rsaKey}`], "different"],
    ["dkim", ["hello"], "missing"],
    ["dkim", [], "missing"],
    ["spf", ["v=spf1 a:mail.tyto.test -all"], "found"],
    ["spf", ["unrelated", "V=SPF1 include:other.example +A:MAIL.tyto.test ~all"], "found"],
    ["spf", ["v=spf1 include:other.example -all"], "different"],
    ["spf", ["v=spf1 a:mail.tyto.test -all", "v=spf1 -all"], "different"],
    ["spf", ["v=spf10 a:mail.tyto.test"], "missing"],
    ["dmarc", ["v=DMARC1; p=reject; rua=mailto:d@example.com"], "found"],
    ["dmarc", ["v=DMARC1"], "different"],
    ["dmarc", ["p=none; v=DMARC1"], "missing"],
  ] as const)("%s with %j: %s", async (purpose, texts, state) => {
    const record = recordFor(purpose);
    dns.set(record.name, texts.length === 0 ? undefined : { TXT: texts });
    const [checked] = await checkRecords(resolver, [record]);
    expect(checked?.state).toBe(state);
  });

  test("found for an MX of any preference among others, different for others alone", async () => {
    const record = recordFor("return-path");
    const look = async (...exchanges: string[]) => {
      dns.set(record.name, { MX: exchanges.map((exchange) => ({ preference: 7, exchange })) });
      return (await checkRecords(resolver, [record]))[0];
    };
    expect(await look("Mail.Tyto.test")).toMatchObject({ state: "found", found: ["7 mail.tyto.test"] });
    expect(await look("other.example", "mail.tyto.test")).toMatchObject({ state: "found" });
    expect(await look("other.example")).toMatchObject({ state: "different", found: ["7 other.example"] });
  });

  test.each(["servfail", "drop", "refused"] as const)(
    "unreachable when the server answers %s",
    async (entry) => {
      const record = recordFor("spf");
      dns.set(record.name, entry);
      const [checked] = await checkRecords(hasty, [record]);
      expect(checked).toMatchObject({ state: "unreachable", found: [] });
    },
  );
});

describe("a domain that was", () => {
  const all = (
    state: DnsRecordView["state"],
    changed: Partial<Record<number, DnsRecordView["state"]>> = {},
  ) => wanted.map((record, index) => ({ ...record, state: changed[index] ?? state }));
  test.each([
    ["preparing", all("found").slice(2), "preparing"],
    ["preparing", all("missing"), "pending"],
    ["preparing", all("unreachable"), "pending"],
    ["pending", all("found"), "verified"],
    ["pending", all("found", { 4: "missing" }), "verified"],
    ["pending", all("found", { 0: "unreachable" }), "pending"],
    ["verified", all("found", { 2: "missing" }), "failing"],
    ["verified", all("found", { 2: "unreachable" }), "verified"],
    ["verified", all("found", { 2: "unreachable", 3: "different" }), "failing"],
    ["failing", all("found", { 2: "missing" }), "failing"],
    ["failing", all("unreachable"), "failing"],
    ["failing", all("found"), "verified"],
  ] as [DomainView["state"], DnsRecordView[], DomainView["state"]][])(
    "%s %#: %s",
    (before, records, after) => {
      expect(stateOfDomain(records, before)).toBe(after);
    },
  );
});
