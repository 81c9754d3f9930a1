import { expect, test } from "bun:test";
import { identify, isOwnOrigin, wordOf } from "./caller.ts";

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

test("a person is named by their email address, a key by its name, each as one word", async () => {
  const ports = {
    ofKey: async () => undefined,
    ofCookies: async () => ({ id: "1", email: "ann@example.com" }),
    isOwnOrigin: () => true,
  };
  const request = new Request("http://localhost/v1/queue", { headers: { cookie: "a=b" } });
  expect(await identify(request, ports)).toMatchObject({ id: "user_1", name: "ann@example.com" });
  expect(wordOf("  the \t shop ")).toBe("the-shop");
  expect(wordOf("x".repeat(300))).toHaveLength(100);
});
