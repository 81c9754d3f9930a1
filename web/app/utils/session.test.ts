import { expect, test } from "bun:test";
import { doorOf, nextPath, type Session } from "./session.ts";

test.each([
  ["first", "/messages", "/setup"],
  ["first", "/sign-in", "/setup"],
  ["first", "/setup", undefined],
  ["out", "/messages?status=bounced", "/sign-in?next=%2Fmessages%3Fstatus%3Dbounced"],
  ["out", "/", "/sign-in"],
  ["out", "/setup", "/sign-in"],
  ["out", "/sign-in?next=%2Fdomains", undefined],
  ["in", "/sign-in", "/"],
  ["in", "/setup", "/"],
  ["in", "/messages", undefined],
  ["unreachable", "/messages", undefined],
] satisfies [Session["kind"], string, string | undefined][])(
  "a session %p at %p goes to %p",
  (kind, path, door) => {
    expect(doorOf(kind, path)).toBe(door as string);
  },
);

test("signing in leads back into this app and nowhere else", () => {
  expect(nextPath("/messages?status=bounced")).toBe("/messages?status=bounced");
  for (const foreign of ["//evil.example", "/\\evil.example", "https://evil.example", "", undefined, ["/x"]])
    expect(nextPath(foreign)).toBe("/");
});
