import { expect, test } from "bun:test";
import { Domain, OrganizationId } from "@tyto/contracts";
import { parsePlan, plainPlan, poolOf } from "./plan.ts";

const file = `
# Two addresses of this machine, one of them new.
[egress.mail1]
ip = "198.51.100.7"
ehlo = "mail1.example.com"
warming = "warm"

[egress.mail2]
ip = "198.51.100.8"
ehlo = "mail2.example.com"
warming = 2026-11-20

[egress.far]
ehlo = "far.example.com"
proxy = "socks5://10.0.0.9:1080"
warming = "new"

[pool.transactional]
members = ["mail1"]

[pool.bulk]
members = { mail1 = 1, mail2 = 3 }
overflow = true

[pool.acme]
members = ["far"]

[[use]]
organization = "acme"
traffic = "bulk"
pool = "acme"

[[use]]
domain = "news.example.com"
pool = "bulk"
`;
const from = (organization: string, domain: string, traffic?: "transactional" | "bulk") => ({
  organizationId: OrganizationId.parse(organization),
  domain: Domain.parse(domain),
  ...(traffic === undefined ? {} : { traffic }),
});

test("a file names addresses, pools and what uses them", () => {
  const plan = parsePlan(file);
  expect(plan.egresses).toEqual([
    { id: "mail1", localIp: "198.51.100.7", ehloName: "mail1.example.com", since: "warm" },
    { id: "mail2", localIp: "198.51.100.8", ehloName: "mail2.example.com", since: { date: "2026-11-20" } },
    { id: "far", ehloName: "far.example.com", proxy: "socks5://10.0.0.9:1080", since: "new" },
  ]);
  expect(plan.pools[1]).toEqual({
    name: "bulk",
    members: [
      { id: "mail1", weight: 1 },
      { id: "mail2", weight: 3 },
    ],
    overflows: true,
  });
});

test.each([
  ["default", "example.com", undefined, "transactional"],
  ["default", "example.com", "bulk", "bulk"],
  ["acme", "acme.example", "bulk", "acme"],
  ["acme", "acme.example", "transactional", "transactional"],
  ["acme", "news.example.com", "bulk", "acme"],
  ["default", "news.example.com", "transactional", "bulk"],
] as const)("mail of %s from %s that is %s takes the pool %s", (organization, domain, traffic, pool) => {
  expect(poolOf(parsePlan(file), from(organization, domain, traffic)).name).toBe(pool);
});

test("addresses without pools are one pool, and no file is one address of the system's choice", () => {
  const plan = parsePlan('[egress.a]\nehlo = "a.example.com"\nwarming = "new"\n');
  expect(poolOf(plan, from("default", "example.com", "bulk"))).toEqual({
    name: "default",
    members: [{ id: "a", weight: 1 }],
    overflows: false,
  });
  expect(plainPlan("mail.example.com").egresses).toEqual([
    { id: "system", ehloName: "mail.example.com", since: "warm" },
  ]);
});

const egress = (more = "", id = "a") => `[egress.${id}]\nehlo = "a.example.com"\nwarming = "new"\n${more}\n`;
test.each([
  ["", "egress: needs a table such as [egress.mail1]"],
  ["[egress.a", "not TOML: "],
  ["[egress]", "there is no egress; begin with a table such as [egress.mail1]"],
  ['[egress.a]\nehlo = "a.example.com"', 'warming is "warm" for an address that has been sending, "new" for'],
  ['[egress.a]\nehlo = "a.example.com"\nwarming = "yesterday"', 'egress.a.warming: warming is "warm"'],
  ['[egress.a]\nwarming = "new"', "egress.a.ehlo: "],
  [egress('ip = "300.1.1.1"'), "egress.a.ip: ip is an IPv4 or IPv6 address of this machine"],
  [egress('proxy = "10.0.0.1"'), "egress.a.proxy: proxy looks like socks5://host:port"],
  [egress('weight = "3"'), "weight"],
  [egress("", "Mail_1"), "lower-case letters, digits and hyphens"],
  [egress('[pool.p]\nmembers = ["b"]'), 'pool.p has the member "b", but there is no [egress.b]'],
  [egress("[pool.p]\nmembers = { a = 0 }"), "pool.p.members"],
  [egress("[pool.p]\nmembers = {}"), "pool.p has no members"],
  [egress('[[use]]\npool = "p"'), 'a [[use]] names the pool "p", but there is no [pool.p]'],
  [egress('ip = "10.0.0.1"') + egress('ip = "10.0.0.1"', "b"), "two egresses have the address 10.0.0.1"],
])("%j is refused with words that say what to do", (text, message) => {
  expect(() => parsePlan(text)).toThrow(message);
  expect(() => parsePlan(text)).toThrow(TypeError);
});
