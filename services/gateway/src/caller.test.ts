import { expect, test } from "bun:test";
import { isOwnOrigin } from "./caller.ts";

test.each([
  ["https://mail.example", "http://127.0.0.1:3100/v1", true, "the configured site, behind a proxy"],
  ["http://localhost:3000", "http://localhost:3000/v1", true, "the address that the page was opened at"],
  ["http://127.0.0.1:3000", "http://localhost:3000/v1", false, "another name of the same machine"],
  ["http://localhost:3001", "http://localhost:3000/v1", false, "another port"],
  ["https://evil.example", "http://localhost:3000/v1", false, "another site"],
  [
    "https://mail.example.evil.example",
    "http://localhost:3000/v1",
    false,
    "a name that only begins like ours",
  ],
  ["null", "http://localhost:3000/v1", false, "a sandboxed page"],
  ["nonsense", "http://localhost:3000/v1", false, "no origin"],
] as const)("%s asking %s is one of our own pages: %p (%s)", (origin, url, expected) => {
  const request = new Request(url, { method: "POST", headers: { origin } });
  expect(isOwnOrigin(request, "https://mail.example")).toBe(expected);
});
