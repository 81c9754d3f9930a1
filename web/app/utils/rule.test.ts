import { expect, test } from "bun:test";
import type { RuleView } from "@tyto/contracts";
import { matchingRules, ruleFacts, sortedRules } from "./rule.ts";

const rule = (name: string, more: Partial<RuleView> = {}): RuleView => ({
  ...{ rule: name, origin: "shipped", say: `About ${name}`, is_on: true, definition: {}, fired: 0, ...more },
});

test("a definition is told in facts; what is not known is left out", () => {
  const definition = {
    when: { provider: "google", code: 421 },
    threshold: { count: 5, withinS: 300 },
    ...{ action: "suspend-site", forS: 1_800, more: true },
  };
  expect(ruleFacts(rule("a", { definition }))).toEqual({
    when: [
      { name: "provider", value: "google" },
      { name: "code", value: "421" },
    ],
    ...{ threshold: { count: 5, withinS: 300 }, action: "suspend-site", forS: 1_800 },
  });
  expect(ruleFacts(rule("b", { definition: { threshold: "immediate" } }))).toEqual({
    when: [],
    threshold: "immediate",
  });
  const threshold = { share: 0.2, attemptsMin: 50, withinS: 900 };
  expect(ruleFacts(rule("s", { definition: { threshold } }))).toEqual({ when: [], threshold });
  expect(ruleFacts(rule("c", { definition: { when: 3, threshold: {}, forS: "x" } }))).toEqual({ when: [] });
});

const rules = [
  rule("quiet"),
  rule("early", { fired: 1, fired_at: "2026-01-01T00:00:00.000Z" }),
  rule("late", { fired: 2, fired_at: "2026-01-02T00:00:00.000Z" }),
  rule("mine", { origin: "own", is_on: false }),
];

test("own rules come first, then what fired last", () => {
  expect(sortedRules(rules).map((one) => one.rule)).toEqual(["mine", "late", "early", "quiet"]);
});

test("rules are found by kind and by words", () => {
  const names = (...args: [Parameters<typeof matchingRules>[1], string]) =>
    matchingRules(rules, ...args).map((one) => one.rule);
  expect(names("all", "")).toHaveLength(4);
  expect(names("fired", "")).toEqual(["early", "late"]);
  expect(names("fired", "ABOUT L")).toEqual(["late"]);
  expect(names("own", "")).toEqual(["mine"]);
  expect(names("off", "")).toEqual(["mine"]);
});
