import { expect, test } from "bun:test";
import { shortened } from "./shortened.ts";

test.each([
  ["421 slow down, please", 21, "421 slow down, please"],
  ["421 slow down, please", 20, "421 slow down,…"],
  ["421 slow down, please", 15, "421 slow down,…"],
  ["421 slow down, please", 14, "421 slow…"],
  ["two  words\tand more", 12, "two  words…"],
  ["https://example.com/a/very/long/path and", 20, "https://example.com…"],
  ["see https://example.com/a/very/long/path", 30, "see https://example.com/a/ver…"],
  ["ab😀😀😀", 4, "ab…"],
  ["", 0, ""],
])("%j in %d characters is %j", (text, charsMax, expected) => {
  expect(shortened(text, charsMax)).toBe(expected);
});

test("whatever the text, no more than fits is told, of its beginning, without half a character", () => {
  const signs = ["a", "bc", " ", "  ", "\n", "😀", "ü", "-", "…", "dddddddddddddddd"];
  let seed = 7;
  const draw = (below: number) => {
    seed = (seed * 48_271) % 2_147_483_647;
    return seed % below;
  };
  for (let round = 0; round < 2_000; round++) {
    const text = Array.from({ length: draw(40) }, () => signs[draw(signs.length)]).join("");
    const charsMax = 1 + draw(60);
    const short = shortened(text, charsMax);
    expect(short.length).toBeLessThanOrEqual(charsMax);
    expect(short.isWellFormed()).toBe(true);
    if (text.length > charsMax) expect(short.endsWith("…")).toBe(true);
    expect(text.startsWith(short === text ? text : short.slice(0, -1))).toBe(true);
  }
});
