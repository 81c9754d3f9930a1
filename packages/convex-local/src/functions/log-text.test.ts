import { expect, test } from "bun:test";
import { LOG_LINE_CHARS_MAX } from "./limits.ts";
import { logLine, Plain } from "./log-text.ts";

class Thing {}
function named() {}

const cases: [string, unknown[], string][] = [
  ["a text", ["myString"], "[LOG] 'myString'"],
  ["numbers and nothing", [42, undefined, null], "[LOG] 42 undefined null"],
  ["a function", [named], "[LOG] [Function: named]"],
  ["an instance", [new Thing()], "[LOG] Thing {}"],
  ["an object", [{ property: "value", nested: {} }], "[LOG] {\n  property: 'value',\n  nested: {}\n}"],
  ["an array of plain values", [["string", 42]], "[LOG] [ 'string', 42 ]"],
  ["words of the engine", [new Plain("default: 3ms"), "more"], "[LOG] default: 3ms 'more'"],
];
test.each(cases)("%s is printed as in the official log", (_name, parts, line) => {
  expect(logLine("LOG", parts)).toBe(line);
});

test("a long line is cut, never inside a character, and says so", () => {
  for (const padding of ["", "x", "xx", "xxx"]) {
    const line = logLine("LOG", [`${padding}${"\u{1F600}".repeat(LOG_LINE_CHARS_MAX)}`]);
    expect(line).toEndWith(" (truncated due to length)");
    expect(line.length).toBeLessThanOrEqual(LOG_LINE_CHARS_MAX);
    expect(line.isWellFormed()).toBe(true);
  }
});
