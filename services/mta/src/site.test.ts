import { expect, test } from "bun:test";
import { siteOf } from "./site.ts";

const host = (name: string, port = 25) => ({ name, port, isTrusted: false, isImplicit: false });
const idOf = (...names: string[]) =>
  siteOf(
    names.map((name) => host(name)),
    25,
  ).id;

test("hosts of one provider are the provider's site, whatever domain they serve", () => {
  expect(siteOf([host("aspmx.l.google.com"), host("alt1.aspmx.l.google.com")], 25)).toMatchObject({
    id: "google",
    provider: "google",
  });
  expect(idOf("example-com.mail.protection.outlook.com")).toBe("microsoft");
});

test("a host by itself is its own site", () => {
  expect(idOf("MX.example.com")).toBe("mx.example.com");
});

test("a set of hosts is one site in whatever order they come, named by what they share", () => {
  const id = idOf("mx1.example.com", "mx2.example.com");
  expect(id).toMatch(/^example\.com=[0-9a-f]{8}$/);
  expect(idOf("mx2.example.com", "mx1.example.com")).toBe(id);
  expect(idOf("mx1.example.com", "mx3.example.com")).not.toBe(id);
});

test("hosts that share nothing but the top level are named by the first of them", () => {
  expect(idOf("mail.one.com", "mail.two.com")).toMatch(/^mail\.one\.com=/);
});

test("a mixed set belongs to no provider", () => {
  expect(siteOf([host("aspmx.l.google.com"), host("mx.example.com")], 25).provider).toBeUndefined();
});

test("another port is another site", () => {
  expect(siteOf([host("127.0.0.1", 2526)], 25).id).toBe("127.0.0.1=2526");
});
