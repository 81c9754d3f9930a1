import { expect, test } from "bun:test";
import { inboxProblem, inboxRecords } from "./inbox.ts";

test.each([
  ["ann@example.com", undefined],
  ["*@example.com", undefined],
  ["a*@example.com", "pattern"],
  ["example.com", "pattern"],
  ["", "pattern"],
  ["ann@elsewhere.test", "domain"],
] as const)("%p is an address for an inbox, or has the problem %p", (pattern, problem) => {
  expect(inboxProblem(pattern, ["example.com"])).toBe(problem);
});

test("each domain with an inbox has one MX record, to the host of its return path", () => {
  const mx = { purpose: "return-path", type: "MX", value: "10 mail.tyto.test" };
  const spf = { purpose: "spf", type: "TXT", value: "v=spf1 -all" };
  const domains = [
    { domain: "one.test", records: [spf, mx] },
    { domain: "two.test", records: [mx] },
    { domain: "new.test", records: [] },
  ];
  const record = { type: "MX" as const, name: "one.test", value: "10 mail.tyto.test" };
  expect(inboxRecords(["a@one.test", "*@one.test", "a@new.test"], domains)).toEqual([record]);
  expect(inboxRecords([], domains)).toEqual([]);
});
