import { expect, test } from "bun:test";
import { parseRange } from "./storage.ts";

const cases: [string | null, number, ReturnType<typeof parseRange>][] = [
  [null, 100, null],
  ["bytes=0-9", 100, { start: 0, end: 10 }],
  ["bytes=90-", 100, { start: 90, end: 100 }],
  ["bytes=-10", 100, { start: 90, end: 100 }],
  ["bytes=-1000", 100, { start: 0, end: 100 }],
  ["bytes=50-1000", 100, { start: 50, end: 100 }],
  ["bytes=100-", 100, "unsatisfiable"],
  ["bytes=-0", 100, "unsatisfiable"],
  ["bytes=0-0", 0, null],
  ["bytes=9-3", 100, null],
  ["bytes=0-1,5-6", 100, null],
  ["bytes=-", 100, null],
  ["items=0-9", 100, null],
];
test.each(cases)("the range %p of %p bytes is %p", (header, bytes, expected) => {
  expect(parseRange(header, bytes)).toEqual(expected);
});
