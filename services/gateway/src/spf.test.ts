import { describe, expect, test } from "bun:test";
import { covers, mechanismOf, spfRecord } from "./spf.ts";

const ehloName = "Mail1.example.com";

test.each([
  [{ ehloName }, "a:mail1.example.com"],
  [{ ehloName, localIp: "198.51.100.7" }, "ip4:198.51.100.7"],
  [{ ehloName, localIp: "2001:DB8::7" }, "ip6:2001:db8::7"],
  [{ ehloName, localIp: "198.51.100.7", proxy: "socks5://10.0.0.9:1080" }, "a:mail1.example.com"],
  [{ ehloName, localIp: "10.1.2.3" }, "a:mail1.example.com"],
  [{ ehloName, localIp: "100.64.0.9" }, "a:mail1.example.com"],
  [{ ehloName, localIp: "fd00::9" }, "a:mail1.example.com"],
  [{ ehloName, localIp: "::1" }, "a:mail1.example.com"],
  [{ ehloName: "localhost" }, undefined],
])("an address is named as the world sees it: %j is %p", (sender, mechanism) => {
  expect(mechanismOf(sender)).toBe(mechanism);
});

test("the record has every address once, those that need no look-up first", () => {
  expect(spfRecord("mail.tyto.test", [])).toBe("v=spf1 a:mail.tyto.test -all");
  expect(
    spfRecord("mail.tyto.test", [
      ...["a:far.test", "ip4:198.51.100.70", "a:mail.tyto.test", "ip4:198.51.100.8", "ip6:2001:db8::7"],
      "ip4:198.51.100.8",
    ]),
  ).toBe("v=spf1 ip4:198.51.100.8 ip4:198.51.100.70 ip6:2001:db8::7 a:mail.tyto.test a:far.test -all");
});

describe("a record that was found lets ours pass", () => {
  const wanted = "v=spf1 ip4:198.51.100.7 ip6:2001:db8::7 a:mail.tyto.test -all";
  const others = (count: number) =>
    Array.from({ length: count }, (_, index) => `include:n${index}.test`).join(" ");
  test.each([
    [wanted, true],
    ["v=spf1 a:mail.tyto.test -all", false],
    ["v=spf1 ip4:198.51.100.8 ip6:2001:db8::7 a:mail.tyto.test -all", false],
    ["V=SPF1 include:other.test +A:MAIL.tyto.test IP4:198.51.100.0/24 ip6:2001:DB8:0::/48 ~all", true],
    ["v=spf1 ip4:198.51.100.7/32 ip6:2001:db8:0:0::7/128 a:mail.tyto.test -all", true],
    ["v=spf1 ip4:198.51.100.128/25 ip6:2001:db8::/48 a:mail.tyto.test -all", false],
    ["v=spf1 ip4:198.51.100.0/99 ip6:2001:db8::/48 a:mail.tyto.test -all", false],
    ["v=spf1 ip4:nonsense/1 ip6:2001:db8::/48 a:mail.tyto.test -all", false],
    ["v=spf1 -ip4:198.51.100.7 ip6:2001:db8::7 a:mail.tyto.test -all", false],
    ["v=spf1 a:mail.tyto.test -all ip4:198.51.100.7 ip6:2001:db8::7", false],
    [`v=spf1 ip4:198.51.100.7 ip6:2001:db8::7 a:mail.tyto.test ${others(9)} -all`, true],
    [`v=spf1 ip4:198.51.100.7 ip6:2001:db8::7 a:mail.tyto.test ${others(10)} -all`, false],
    ["v=spf1", false],
  ])("%s: %p", (found, passes) => {
    expect(covers(found, wanted)).toBe(passes);
  });
});
