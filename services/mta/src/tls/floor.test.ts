import { expect, test } from "bun:test";
import { floorOf, parseFloors } from "./floor.ts";

test("the floor of a domain is its own, else that of all, else opportunistic", () => {
  const floors = parseFloors("Bank.example=verified, *=encrypted,old.example=opportunistic,");
  expect(
    ["bank.example", "BANK.example", "other.example", "old.example"].map((name) => floorOf(floors, name)),
  ).toEqual(["verified", "verified", "encrypted", "opportunistic"]);
  expect(floorOf(parseFloors(""), "bank.example")).toBe("opportunistic");
});

test.each(["bank.example", "bank.example=secure", "=verified", "nonsense", "a b=verified"])(
  "%p is refused with words",
  (text) => {
    expect(() => parseFloors(text)).toThrow(/must be domain=verified/);
  },
);
