import { describe, expect, test } from "bun:test";
import { Domain, SendRequest } from "@tyto/contracts";
import { brokenRules, modeOf, refusal, warnings } from "./judge.ts";
import { type Facts, rules } from "./rules.ts";

const oneClick = {
  "List-Unsubscribe": "<mailto:u@example.com>, <https://example.com/u/1>",
  "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
};
const facts = (mail: object = { unsubscribe: true }, more: Partial<Facts> = {}): Facts => ({
  mail: SendRequest.parse({
    from: "ann@example.com",
    to: "bob@example.org",
    subject: "s",
    text: "t",
    ...mail,
  }),
  domain: Domain.parse("example.com"),
  siteUrl: "https://mail.example.com",
  unpublished: [],
  ...more,
});

describe("bulk mail", () => {
  test.each([
    ["with one click of Tyto's over https", facts(), []],
    ["with one click of its own", facts({ headers: oneClick }), []],
    ["with one click of its own in other letters", facts({ headers: lowerCased(oneClick) }), []],
    ["of a domain that nobody has looked at", { ...facts(), unpublished: undefined }, []],
    [
      "whose return path has no MX, which no receiver asks for",
      facts({ unsubscribe: true }, { unpublished: ["return-path"] }),
      [],
    ],
    ["without DKIM", facts({ unsubscribe: true }, { unpublished: ["dkim"] }), ["dns.dkim"]],
    [
      "without SPF and DMARC",
      facts({ unsubscribe: true }, { unpublished: ["spf", "dmarc"] }),
      ["dns.spf", "dns.dmarc"],
    ],
    ["that nobody can unsubscribe from", facts({}), ["unsubscribe.missing"]],
    [
      "by mail only",
      facts({ headers: { "List-Unsubscribe": "<mailto:u@example.com>" } }),
      ["unsubscribe.one-click"],
    ],
    [
      "over http",
      facts({ headers: { ...oneClick, "List-Unsubscribe": "<http://example.com/u>" } }),
      ["unsubscribe.one-click"],
    ],
    [
      "without List-Unsubscribe-Post",
      facts({ headers: { "List-Unsubscribe": oneClick["List-Unsubscribe"] } }),
      ["unsubscribe.one-click"],
    ],
    [
      "with another List-Unsubscribe-Post",
      facts({ headers: { ...oneClick, "List-Unsubscribe-Post": "yes" } }),
      ["unsubscribe.one-click"],
    ],
    [
      "with Tyto's link over http",
      facts({ unsubscribe: true }, { siteUrl: "http://mail.example.com" }),
      ["unsubscribe.https"],
    ],
    [
      "with its own link where Tyto's would be http",
      facts({ unsubscribe: true, headers: oneClick }, { siteUrl: "http://x.example" }),
      [],
    ],
  ] as [string, Facts, string[]][])("%s breaks %j", (_what, given, broken) => {
    expect(brokenRules(given, "bulk")).toEqual(broken);
  });
});

test("transactional mail has no rule to keep", () => {
  expect(brokenRules(facts({}, { unpublished: ["dkim", "spf", "dmarc"] }), "transactional")).toEqual([]);
});

test("a refusal names each rule with its problem, its fix and whose rule it is", () => {
  const asked = facts({ unsubscribe: true }, { siteUrl: "http://mail.example.com" });
  const { code, issues } = refusal(["dns.dkim", "unsubscribe.https"], asked);
  expect(code).toBe("bulk.refused");
  expect(issues).toEqual([
    {
      path: "from",
      problem:
        "DNS does not show the DKIM keys of example.com: publish the DKIM records of GET /v1/domains/example.com, then POST /v1/domains/example.com/check (Gmail, Yahoo and Microsoft take bulk mail only with a DKIM signature that verifies)",
    },
    { path: "unsubscribe", problem: expect.stringContaining("set SITE_URL to that address") },
  ]);
  expect(warnings(["dns.dkim"], asked)).toEqual([expect.stringContaining("DNS does not show the DKIM keys")]);
});

test("every rule has an id of its own and words that end without a full stop", () => {
  expect(new Set(rules.map(({ id }) => id)).size).toBe(rules.length);
  for (const { about, problem, fix } of rules)
    for (const words of [about, problem(facts()), fix(facts())]) expect(words).toMatch(/\w.*[^.]$/);
});

test.each([
  ["http://localhost:3000", "warn"],
  ["http://tyto.localhost", "warn"],
  ["http://127.0.0.1:3000", "warn"],
  ["http://[::1]:3000", "warn"],
  ["http://localhost.example", "refuse"],
  ["http://192.0.2.1", "refuse"],
  ["https://mail.example.com", "refuse"],
] as const)("an installation at %s would %s", (siteUrl, mode) => {
  expect(modeOf(siteUrl)).toBe(mode);
});

const lowerCased = (headers: Record<string, string>) =>
  Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value.toLowerCase()]),
  );
