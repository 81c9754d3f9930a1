import { expect, test } from "bun:test";
import { evidenceOf } from "./evidence.ts";

test.each([
  ["unsubscribed by one-click", { view: "unsubscribes", key: "one-click" }],
  ["abuse reported by provider.test", { view: "complaints", key: "abuse", reporter: "provider.test" }],
  ["opt-out", { view: "complaints", key: "opt-out" }],
  ["550 5.1.1 User unknown", undefined],
  ["abuse of the policy", undefined],
  [undefined, undefined],
] as const)("%p is told as %p", (text, expected) => {
  expect(evidenceOf(text)).toEqual(expected);
});
