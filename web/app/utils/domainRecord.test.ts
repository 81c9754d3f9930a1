import { expect, test } from "bun:test";
import { DnsRecordView, DomainView } from "@tyto/contracts";
import { domainLooks, recordLooks, recordsByStage, recordsFound, zoneFileOf } from "./domainRecord.ts";

test("every state of a record and of a domain has a look", () => {
  expect(Object.keys(recordLooks).toSorted()).toEqual(DnsRecordView.shape.state.options.toSorted());
  expect(Object.keys(domainLooks).toSorted()).toEqual(DomainView.shape.state.options.toSorted());
});

test("only required records count", () => {
  expect(
    recordsFound([
      { required: true, state: "found" },
      { required: true, state: "missing" },
      { required: false, state: "found" },
    ]),
  ).toEqual({ found: 1, required: 2 });
});

test("records of keys that do not sign stand apart, in their order", () => {
  const [one, two, three, four] = [{}, { stage: "next" as const }, { stage: "old" as const }, {}];
  expect(recordsByStage([one, two, three, four])).toEqual({
    signing: [one, four],
    next: [two],
    old: [three],
  });
});

test("a long TXT value is split into strings of at most 255 bytes", () => {
  const value = "p=".padEnd(400, "A");
  const line = zoneFileOf([{ name: "t1._domainkey.example.com", type: "TXT", value }]);
  const strings = [...line.matchAll(/"([^"]*)"/g)].map((match) => match[1] ?? "");
  expect(strings.map((part) => part.length)).toEqual([255, 145]);
  expect(strings.join("")).toBe(value);
});

test("an MX value ends as an absolute name", () => {
  expect(zoneFileOf([{ name: "bounces.example.com", type: "MX", value: "10 mail.example.net" }])).toBe(
    "bounces.example.com. 3600 IN MX  10 mail.example.net.",
  );
});

test("the columns of a zone file stand below each other", () => {
  const lines = zoneFileOf([
    { name: "t1._domainkey.example.com", type: "TXT", value: "p=A" },
    { name: "bounces.example.com", type: "MX", value: "10 mail.example.net" },
  ]).split("\n");
  expect(lines).toEqual([
    't1._domainkey.example.com. 3600 IN TXT "p=A"',
    "bounces.example.com.       3600 IN MX  10 mail.example.net.",
  ]);
});
