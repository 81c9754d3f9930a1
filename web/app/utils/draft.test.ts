import { expect, test } from "bun:test";
import { SendRequest } from "@tyto/contracts";
import { type Draft, draftFieldOf, draftProblems, toSendBody } from "./draft.ts";

const now = Date.UTC(2026, 10, 21, 9, 0);
const draft: Draft = {
  fromName: "Tyto",
  fromLocal: "hello",
  fromDomain: "example.com",
  to: "ann@example.org, Bo <bo@example.org>",
  subject: "A test",
  text: "Hello",
  html: "",
  tags: ["test"],
  scheduledAt: "",
};

test("a complete draft has no problem and becomes a request that the contract takes", () => {
  expect(draftProblems(draft, now)).toEqual([]);
  expect(toSendBody(draft)).toEqual({
    from: "Tyto <hello@example.com>",
    to: ["ann@example.org", "Bo <bo@example.org>"],
    subject: "A test",
    text: "Hello",
    tags: ["test"],
  });
  expect(SendRequest.safeParse(toSendBody(draft)).success).toBe(true);
});

test("a name with commas or quotes is quoted, and the contract reads it back", () => {
  const body = toSendBody({ ...draft, fromName: 'Lee, "Ann"' });
  expect(body.from).toBe('"Lee, \\"Ann\\"" <hello@example.com>');
  expect(SendRequest.parse(body).from.name).toBe('Lee, "Ann"');
});

test.each([
  [{ fromDomain: "" }, ["fromDomain"]],
  [{ fromLocal: "a b" }, ["fromLocal"]],
  [{ to: " " }, ["to"]],
  [{ to: "ann@example.org, bo" }, ["to"]],
  [{ subject: " " }, ["subject"]],
  [{ text: "", html: " " }, ["text"]],
  [{ scheduledAt: "2020-01-01T00:00" }, ["scheduledAt"]],
  [{ to: "", subject: "" }, ["to", "subject"]],
] satisfies [Partial<Draft>, string[]][])("%j is wrong in %j", (change, fields) => {
  expect(draftProblems({ ...draft, ...change }, now).map((problem) => String(problem.name))).toEqual(fields);
});

test("a scheduled draft names its time in UTC", () => {
  expect(toSendBody({ ...draft, scheduledAt: "2026-11-22T10:00" }).scheduled_at).toEndWith("Z");
});

test.each([
  ["to[1]", "to"],
  ["from", "fromLocal"],
  ["scheduled_at", "scheduledAt"],
  ["metadata.a", undefined],
  ["", undefined],
])("the gateway's path %p belongs to the field %p", (path, field) => {
  expect(draftFieldOf(path)).toBe(field as ReturnType<typeof draftFieldOf>);
});
