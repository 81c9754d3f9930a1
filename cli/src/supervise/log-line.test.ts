import { expect, test } from "bun:test";
import colours from "picocolors";
import { formatEntry, parseLine } from "./log-line.ts";

const plain = colours.createColors(false);
const show = (line: string) =>
  formatEntry(parseLine(line), "mta", {
    nameColumns: 7,
    nowMs: noonMs,
    colours: plain,
    tint: (text) => text,
  });
const noonMs = new Date(2026, 0, 1, 12, 0, 0).getTime();
const time = noonMs + 1_000;

test("a JSON line becomes time, service, event and fields", () => {
  expect(
    show(
      JSON.stringify({ level: "info", time, service: "mta", event: "mail.delivered", mx: "a.test", ms: 3 }),
    ),
  ).toBe("12:00:01 mta     mail.delivered  mx=a.test ms=3");
});

test("a value with spaces is quoted, an object is JSON", () => {
  const line = JSON.stringify({ level: "info", time, event: "x.y", reply: "250 ok", more: { a: 1 } });
  expect(show(line)).toBe('12:00:01 mta     x.y  reply="250 ok" more={"a":1}');
});

test("an error shows its message in the line and its stack below", () => {
  const error = { type: "Error", message: "no route", stack: "Error: no route\n    at send (mta.ts:1:2)" };
  expect(show(JSON.stringify({ level: "error", time, event: "mta.failed", error }))).toBe(
    "12:00:01 mta     mta.failed  error=no route\n                   at send (mta.ts:1:2)",
  );
});

test("further lines of a text stand below it", () => {
  expect(show(JSON.stringify({ time, event: "x.y", error: "Error: a b\n    at c" }))).toBe(
    '12:00:01 mta     x.y  error="Error: a b"\n                   at c',
  );
});

test("wrong settings are listed one below the other", () => {
  const line = JSON.stringify({
    level: "error",
    time,
    event: "service.misconfigured",
    problems: ["A is not set", "B is wrong"],
  });
  expect(
    show(line)
      .split("\n")
      .map((text) => text.trim())
      .slice(1),
  ).toEqual(["A is not set", "B is wrong"]);
});

test.each([
  ["[12] 2026/01/01 12:00:00.000000 [WRN] disk is slow", "warn", "disk is slow"],
  ["[12] 2026/01/01 12:00:00.000000 [INF] Server is ready", "info", "Server is ready"],
  ["[12] 2026/01/01 12:00:00.000000 [FTL] cannot listen", "error", "cannot listen"],
  ["LibClamAV Warning: old engine", "info", "LibClamAV Warning: old engine"],
  ["ERROR: Can't open database", "error", "ERROR: Can't open database"],
  ["{not json", "info", "{not json"],
  ['{"no": "event"}', "info", '{"no": "event"}'],
  ["null", "info", "null"],
] as const)("a line of a foreign program is shown as it is, at its level: %s", (line, level, event) => {
  expect(parseLine(line)).toMatchObject({ level, event });
});

test("no line whatever breaks the parser", () => {
  let seed = 7;
  const random = () => {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
    return seed / 2_147_483_648;
  };
  const pieces = [
    '{"event":',
    '"a"',
    "}",
    "{",
    "[",
    "null",
    "\\u0000",
    ',"error":{"message":1,"stack":2}',
    '"',
    " ",
    "[ERR]",
    "💌",
  ];
  for (let round = 0; round < 3_000; round++) {
    const line = Array.from({ length: 8 }, () => pieces[Math.floor(random() * pieces.length)]).join("");
    expect(show(line)).toBeString();
  }
});
