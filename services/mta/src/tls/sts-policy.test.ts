import { expect, test } from "bun:test";
import { allowsMx, parseStsPolicy, parseStsRecord, type StsPolicy } from "./sts-policy.ts";

test("the id is read from exactly one record that begins with v=STSv1", () => {
  expect(parseStsRecord(["v=STSv1; id=20260101T000000;"])).toBe("20260101T000000");
  expect(parseStsRecord(["other", "v=STSv1;id=1"])).toBe("1");
  expect(parseStsRecord(["v=STSv1 ; x=y; id = abc ; z=1"])).toBe("abc");
  for (const none of [
    [],
    ["v=STSv1; id=1;", "v=STSv1; id=2;"],
    ["v=STSv10; id=1;"],
    ["v=STSv1"],
    ["v=STSv1;"],
    ["v=STSv1; id="],
    ["v=STSv1; id=a-b"],
    [`v=STSv1; id=${"1".repeat(33)}`],
    [" v=STSv1; id=1"],
    ["id=1; v=STSv1;"],
  ])
    expect(parseStsRecord(none)).toBeUndefined();
});

const policy =
  "version: STSv1\r\nmode: enforce\r\nmx: MX1.Example.com.\r\nmx: *.example.net\r\nmax_age: 86400\r\n";

test("a policy is read, with either line end, in any order of fields", () => {
  const read: StsPolicy = { mode: "enforce", mx: ["mx1.example.com", "*.example.net"], maxAgeS: 86_400 };
  expect(parseStsPolicy(policy)).toEqual(read);
  expect(parseStsPolicy(policy.replaceAll("\r\n", "\n"))).toEqual(read);
  expect(parseStsPolicy(policy.trim().split("\r\n").toReversed().join("\n"))).toEqual({
    ...read,
    mx: ["*.example.net", "mx1.example.com"],
  });
});

test("unknown fields are left out, of repeated ones the first counts, and max_age is a year at most", () => {
  const read = parseStsPolicy(`${policy}extra: 1\nmode: none\nmax_age: 1\n`);
  expect(read).toMatchObject({ mode: "enforce", maxAgeS: 86_400 });
  expect(parseStsPolicy(policy.replace("86400", "9999999999"))).toMatchObject({ maxAgeS: 31_557_600 });
});

test("mode none needs no mx", () => {
  expect(parseStsPolicy("version: STSv1\nmode: none\nmax_age: 60\n")).toMatchObject({ mode: "none", mx: [] });
});

test.each([
  ["", "version"],
  [policy.replace("STSv1", "STSv2"), "version"],
  [policy.replace("enforce", "Enforce"), "mode"],
  [policy.replace(/mode:.*\r\n/, ""), "mode"],
  [policy.replace(/mx:.*\r\n/g, ""), "mx"],
  [policy.replace("86400", "-1"), "max_age"],
  [policy.replace("86400", "1e9"), "max_age"],
  [policy.replace(/max_age:.*\r\n/, ""), "max_age"],
  [policy.replace("*.example.net", "*.*.net"), "mx"],
  [policy.replace("*.example.net", "mx*.example.net"), "mx"],
  [policy.replace("*.example.net", ""), "mx"],
  [`${policy}<html>`, "line"],
  [`${policy}${"mx: a.example\n".repeat(200)}`, "100 mx"],
  [`${policy}${"x: 1\n".repeat(2_000)}`, "lines"],
])("%p is refused with what is wrong", (text, word) => {
  expect(parseStsPolicy(text)).toContain(word);
});

test("a wildcard stands for exactly one label", () => {
  const allows = (mx: string, host: string) => allowsMx({ mode: "enforce", mx: [mx], maxAgeS: 1 }, host);
  expect(allows("mx.example.com", "MX.example.com.")).toBe(true);
  expect(allows("mx.example.com", "mx2.example.com")).toBe(false);
  expect(allows("*.example.com", "mx.example.com")).toBe(true);
  expect(allows("*.example.com", "a.mx.example.com")).toBe(false);
  expect(allows("*.example.com", "example.com")).toBe(false);
  expect(allows("*.example.com", "mxexample.com")).toBe(false);
  expect(allows("*.com", "com")).toBe(false);
});

test("5,000 broken policies and records are read or refused, never an exception", () => {
  let state = 11;
  const next = (below: number) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  const pieces = [
    "mode: ",
    "enforce",
    "mx: ",
    "*.",
    "\r\n",
    "\n",
    ":",
    " ",
    "\0",
    "é",
    "max_age: ",
    "9".repeat(12),
    "version: STSv1",
    ";",
    "id=",
  ];
  const seen = new Set<string>();
  for (let round = 0; round < 5_000; round++) {
    const bytes = [...policy];
    for (let change = next(5); change > 0; change--)
      bytes.splice(next(bytes.length), next(6), pieces[next(pieces.length)] ?? "");
    const read = parseStsPolicy(bytes.join(""));
    seen.add(typeof read === "string" ? "refused" : read.mode);
    if (typeof read !== "string") {
      expect(read.maxAgeS).toBeLessThanOrEqual(31_557_600);
      allowsMx(read, bytes.slice(0, 20).join(""));
    }
    parseStsRecord([bytes.join("").slice(0, 40), `v=STSv1;${bytes.slice(5, 30).join("")}`]);
  }
  expect([...seen].toSorted()).toEqual(["enforce", "refused"]);
});
