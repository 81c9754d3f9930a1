import { expect, test } from "bun:test";
import { box, duration, table } from "./screen.ts";

test("a box closes on the right, whatever colours its lines have", () => {
  const lines = Bun.stripANSI(box("Tyto", ["short", "\u001b[32ma longer line\u001b[0m", ""])).split("\n");
  expect(new Set(lines.map((line) => Bun.stringWidth(line))).size).toBe(1);
  expect(lines[1]).toBe("│ short         │");
});

test("columns align", () => {
  expect(
    table([
      ["a", "b"],
      ["long", "c"],
    ]),
  ).toEqual(["a     b", "long  c"]);
});

test.each([
  [950, "950 ms"],
  [1_200, "1.2 s"],
  [61_000, "1 min 1 s"],
  [3_600_000, "1 h 0 min"],
  [90_000_000, "1 d 1 h"],
])("%p ms reads as %p", (ms, text) => {
  expect(duration(ms)).toBe(text);
});
