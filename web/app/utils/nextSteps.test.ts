import { expect, test } from "bun:test";
import { nextSteps } from "./nextSteps.ts";

const fresh = { domains: 0, verifiedDomains: 0, apiKeys: 0, messages: 0 };
const summary = (progress: typeof fresh) =>
  nextSteps(progress).map((step) => `${step.id}${step.done ? " done" : ""}${step.current ? " now" : ""}`);

test("a fresh installation starts with a domain", () => {
  expect(summary(fresh)).toEqual(["domain now", "dns", "key", "send"]);
});

test("the first gap is the one to do now, whatever was done after it", () => {
  expect(summary({ ...fresh, domains: 1, apiKeys: 2 })).toEqual([
    "domain done",
    "dns now",
    "key done",
    "send",
  ]);
});

test("nothing is left when all is done", () => {
  const all = nextSteps({ domains: 2, verifiedDomains: 1, apiKeys: 1, messages: 9 });
  expect(all.every((step) => step.done && !step.current)).toBe(true);
});
