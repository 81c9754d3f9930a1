import { expect, test } from "bun:test";
import { addressOf, domainOf, looksLikeAddress, parseMailboxes } from "./mailbox.ts";

test("a typed list is parted at commas, semicolons and line breaks, but not inside quotes", () => {
  expect(parseMailboxes('a@example.com, "Lee, Ann" <ann@example.com>;\n b@example.org\n')).toEqual([
    "a@example.com",
    '"Lee, Ann" <ann@example.com>',
    "b@example.org",
  ]);
  expect(parseMailboxes(" , ;\n")).toEqual([]);
});

test("the address of a mailbox is what stands in angle brackets", () => {
  expect(addressOf("Ann <ann@example.com>")).toBe("ann@example.com");
  expect(addressOf(" ann@example.com ")).toBe("ann@example.com");
});

test.each(["ann@example.com", "o'hara+tag@mail.example.org", "grüße@bücher.example"])(
  "%s may be an address",
  (text) => {
    expect(looksLikeAddress(text)).toBe(true);
  },
);

test.each([
  "",
  "ann",
  "ann@",
  "@example.com",
  "ann@localhost",
  "a b@example.com",
  "ann@.com",
  "ann@example.",
])("%p is no address", (text) => {
  expect(looksLikeAddress(text)).toBe(false);
});

test("the domain of an address is what follows the last @", () => {
  expect(domainOf("ann@Example.COM")).toBe("example.com");
  expect(domainOf("ann")).toBe("");
});
