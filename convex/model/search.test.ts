import { expect, test } from "bun:test";
import { isFound, readSearch } from "./search.ts";

const message = {
  subject: "Your order #17: Grüße (Lampen)",
  recipients: ["Ann@Example.net", "bob@mail.example.org"],
};

test.each([
  ["ann", true],
  ["ann@", true],
  ["ANN@example.net", true],
  ["nn@", false],
  ["@example.net", true],
  ["@mail", true],
  ["@xample", false],
  ["order", true],
  ["grü lamp", true],
  ["#17", true],
  ["order ann", true],
  ["rder", false],
  ["order carl", false],
] as const)("%s: %p", (typed, expected) => {
  expect(isFound(readSearch(` ${typed} `), message)).toBe(expected);
});

test("what has an @ inside is an address, in front a domain, and everything else words", () => {
  expect(readSearch("ann@exa")).toEqual({ by: "address", beginning: "ann@exa" });
  expect(readSearch("@exa")).toEqual({ by: "domain", beginning: "exa" });
  expect(readSearch("ann (exa)")).toEqual({ by: "words", words: ["ann", "exa"] });
});
