import { expect, test } from "bun:test";
import { queryTerms, termsOf } from "./terms.ts";

const cases: [string, string[]][] = [
  ["Hello, World!", ["hello", "world"]],
  ["it's co-operation_2", ["it", "s", "co", "operation", "2"]],
  ["Straße ÉCOLE", ["straße", "école"]],
  ["日本語 テスト", ["日本語", "テスト"]],
  ["हिन्दी", ["हिन", "दी"]],
  ["   ...  ", []],
  ["", []],
  [`${"a".repeat(32)} ${"b".repeat(33)} ${"é".repeat(17)}`, ["a".repeat(32)]],
];
test.each(cases)("the terms of %j are its words, lower case", (text, terms) => {
  expect(termsOf(text)).toEqual(terms);
});

test("the last term of a search may be the beginning of a word, unless there are more than 16", () => {
  expect(queryTerms("one tw")).toEqual({ terms: ["one", "tw"], isLastPrefix: true });
  const many = queryTerms(Array.from({ length: 20 }, (_, index) => `t${index}`).join(" "));
  expect(many.terms).toHaveLength(16);
  expect(many.isLastPrefix).toBe(false);
});
