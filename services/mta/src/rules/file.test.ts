import { describe, expect, test } from "bun:test";
import { parseRuleFile, parseRules, shippedRules } from "./file.ts";
import { pack } from "./pack/index.ts";

const own = {
  id: "our-partner",
  about: "Our partner asks for nights",
  when: { site: "mx.partner.example", pattern: "come back at night" },
  threshold: { count: 2, withinS: 600 },
  action: "suspend-site",
  forS: 3_600,
};
const file = (content: object) => JSON.stringify(content);

describe("an operator's file", () => {
  test("adds rules, and switches shipped ones off and on", () => {
    const { rules, shipped } = parseRuleFile(
      file({ rules: [own], off: ["yahoo-ts03"], on: ["deferred-for-good"] }),
    );
    const find = (id: string) => rules.find((rule) => rule.id === id);
    expect(find("our-partner")).toEqual({ ...own, enabled: true } as never);
    expect(find("yahoo-ts03")?.enabled).toBe(false);
    expect(find("deferred-for-good")?.enabled).toBe(true);
    expect(find("yahoo-tss04")?.enabled).toBe(true);
    expect(rules).toHaveLength(pack.length + 1);
    expect(shipped.has("our-partner")).toBe(false);
  });

  test("puts a rule of its own in the place of a shipped one", () => {
    const { rules, shipped } = parseRuleFile(file({ rules: [{ ...own, id: "yahoo-ts03" }] }));
    expect(rules.filter(({ id }) => id === "yahoo-ts03")).toEqual([
      expect.objectContaining({ about: own.about }),
    ]);
    expect(rules).toHaveLength(pack.length);
    expect(shipped.has("yahoo-ts03")).toBe(false);
  });

  test("that is empty leaves the shipped rules as they are", () => {
    expect(parseRuleFile("{}")).toEqual(shippedRules());
  });

  test.each<[string, string, string]>([
    ["no JSON", "{", "is no JSON"],
    ["an unknown field", file({ rule: [] }), "rule"],
    [
      "an unknown shipped rule",
      file({ off: ["yahoo-ts99"] }),
      "yahoo-ts99: there is no shipped rule of this name",
    ],
    ["no action", file({ rules: [{ ...own, action: "shout" }] }), "our-partner.action"],
    [
      "nothing to match",
      file({ rules: [{ ...own, when: { provider: "google" } }] }),
      "our-partner.when: must say which replies",
    ],
    ["a broken pattern", file({ rules: [{ ...own, when: { pattern: "(" } }] }), "our-partner.when.pattern"],
    [
      "a pattern that can take minutes",
      file({ rules: [{ ...own, when: { pattern: "(a+)+b" } }] }),
      "a repeat inside a repeat",
    ],
    ["no end", file({ rules: [{ ...own, forS: 0 }] }), "our-partner.forS"],
    ["a misspelt field", file({ rules: [{ ...own, treshold: 1 }] }), "treshold"],
    [
      "a pool without a switch",
      file({ rules: [{ ...own, pool: "b" }] }),
      "our-partner.pool: goes with switch-pool",
    ],
    ["a switch without a pool", file({ rules: [{ ...own, action: "switch-pool" }] }), "our-partner.pool"],
    ["the same twice", file({ rules: [own, own] }), "our-partner: stands there twice"],
    ["no object", file({ rules: [7] }), "rule 1"],
  ])("with %s is refused with what is wrong", (_name, text, words) => {
    expect(() => parseRuleFile(text)).toThrow(TypeError);
    expect(() => parseRuleFile(text)).toThrow(words);
  });

  test("names all that is wrong at once", () => {
    const { rules, problems } = parseRules([own, { ...own, id: "B" }, { ...own, id: "c", forS: 1 }]);
    expect(rules).toHaveLength(1);
    expect(problems.map((problem) => problem.split(":")[0])).toEqual(["B.id", "c.forS"]);
  });
});
