import { expect, test } from "bun:test";
import { DnsError } from "./errors.ts";
import { reverseName, wireName } from "./name.ts";

test.each([
  ["Example.COM.", "example.com"],
  ["_dmarc.bücher.example", "_dmarc.xn--bcher-kva.example"],
  ["BÜCHER.example", "xn--bcher-kva.example"],
  [`${"a".repeat(63)}.example`, `${"a".repeat(63)}.example`],
])("%s is asked for as %s", (name, wire) => {
  expect(wireName(name)).toBe(wire);
});

test.each([
  "",
  ".",
  "a..b",
  `${"a".repeat(64)}.example`,
  `${"a.".repeat(130)}example`,
  "a b.example",
  "x\r\n.example",
  "ü\0.example",
])("%p has no form in DNS and says so", (name) => {
  expect(() => wireName(name)).toThrow(DnsError);
});

test("addresses are turned round for PTR", () => {
  expect(reverseName("192.0.2.10")).toBe("10.2.0.192.in-addr.arpa");
  expect(reverseName("2001:db8::567:89ab")).toBe(
    "b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa",
  );
  expect(reverseName("::1")).toBe(`1.${"0.".repeat(31)}ip6.arpa`);
  for (const bad of ["300.1.1.1", "::g", "example.com", ""]) expect(() => reverseName(bad)).toThrow(DnsError);
});
