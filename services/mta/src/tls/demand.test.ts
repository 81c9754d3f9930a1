import { expect, test } from "bun:test";
import { demandOf, type Facts, isTlsDemanded, refusalOf } from "./demand.ts";
import { tlsaOf } from "./testing.ts";

const facts: Facts = {
  domain: "example.org",
  host: "mx.example.org",
  isHostCertain: false,
  floor: "opportunistic",
  sts: { kind: "none" },
  dane: { kind: "none" },
  requireTls: undefined,
};
const sts = (mode: "enforce" | "testing", mx = "mx.example.org"): Facts["sts"] => ({
  kind: "policy",
  id: "1",
  policy: { mode, mx: [mx], maxAgeS: 60 },
});
const dane = (...records: Parameters<typeof tlsaOf>[]): Facts["dane"] => ({
  kind: "records",
  records: records.map((each) => tlsaOf(...each)),
  baseName: "mx.example.org",
});
const keyOf = (change: Partial<Facts>) => demandOf({ ...facts, ...change }).key;

test("nothing published and nothing asked demands nothing", () => {
  expect(demandOf(facts)).toMatchObject({ clauses: [], key: "", serverName: "mx.example.org" });
  expect(isTlsDemanded(demandOf(facts))).toBe(false);
});

test("sessions are shared by deliveries that ask the same of the same host, whatever their domain", () => {
  const domain = "other.example";
  expect(keyOf({ sts: sts("enforce") })).toBe(keyOf({ sts: sts("enforce"), domain }));
  expect(keyOf({ dane: dane([3, 1, 1, "known"]) })).toBe(keyOf({ dane: dane([3, 1, 1, "known"]), domain }));
  expect(keyOf({ sts: sts("testing") })).toBe("");
});

test("sessions are not shared where one asks more, or other names", () => {
  const keys = [
    keyOf({}),
    keyOf({ floor: "encrypted" }),
    keyOf({ floor: "verified" }),
    keyOf({ dane: dane([3, 1, 1, "known"]) }),
    keyOf({ dane: dane([3, 1, 1, "unknown"]) }),
    keyOf({ dane: dane([3, 1, 1, "known"]), sts: sts("enforce") }),
    keyOf({ dane: dane([2, 1, 1, "authority"]) }),
    keyOf({ dane: dane([2, 1, 1, "authority"]), domain: "other.example" }),
  ];
  expect(new Set(keys).size).toBe(keys.length);
});

test("the order of records makes no other demand", () => {
  const [one, other]: Parameters<typeof tlsaOf>[] = [
    [3, 1, 1, "known"],
    [3, 1, 1, "unknown"],
  ];
  if (one === undefined || other === undefined) throw new Error("two records");
  expect(keyOf({ dane: dane(one, other) })).toBe(keyOf({ dane: dane(other, one) }));
});

test("the strictest wins: every enforced policy has to be met", () => {
  const demand = demandOf({
    ...facts,
    floor: "encrypted",
    sts: sts("enforce"),
    dane: dane([3, 1, 1, "known"]),
  });
  expect(demand.clauses.map(({ policy, needs, isEnforced }) => [policy, needs, isEnforced])).toEqual([
    ["floor", "encryption", true],
    ["sts", "certificate", true],
    ["dane", "tlsa", true],
  ]);
  expect(demand.key).toStartWith("certificate+tlsa=");
});

test("TLS-Required: No turns what the domain demands into something that is only told, and not the operator's floor", () => {
  const asked: Facts = { ...facts, sts: sts("enforce"), dane: dane([3, 1, 1, "known"]), requireTls: false };
  expect(isTlsDemanded(demandOf(asked))).toBe(false);
  expect(demandOf(asked).clauses).toHaveLength(2);
  expect(isTlsDemanded(demandOf({ ...asked, floor: "verified" }))).toBe(true);
});

test("a refusal is known before anybody connects, and says whether waiting helps", () => {
  expect(refusalOf(demandOf(facts))).toBeUndefined();
  expect(refusalOf(demandOf({ ...facts, sts: sts("testing", "other.example") }))).toBeUndefined();
  expect(refusalOf(demandOf({ ...facts, sts: sts("enforce", "other.example") }))).toMatchObject({
    isPermanent: false,
  });
  expect(refusalOf(demandOf({ ...facts, dane: { kind: "failed", why: "SERVFAIL" } }))).toMatchObject({
    result: "dnssec-invalid",
    isPermanent: false,
  });
  expect(refusalOf(demandOf({ ...facts, requireTls: true }))).toMatchObject({ isPermanent: true });
  expect(refusalOf(demandOf({ ...facts, requireTls: true, sts: sts("testing") }))).toBeUndefined();
});
