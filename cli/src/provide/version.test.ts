import { expect, test } from "bun:test";
import { isAtLeast, parseVersion } from "./version.ts";

test.each([
  ["nats-server: v2.15.1", [2, 15, 1]],
  ["ClamAV 1.4.3/27500/Mon Nov 17 09:00:00 2025", [1, 4, 3]],
  ["2.14", [2, 14, 0]],
  ["2.15.1-1~bpo13+1", [2, 15, 1]],
  ["no version", undefined],
  ["", undefined],
] as const)("%p is read as %p", (text, version) => {
  expect(parseVersion(text)).toEqual(version as ReturnType<typeof parseVersion>);
});

test("versions compare number by number, not letter by letter", () => {
  expect(isAtLeast([2, 14, 0], [2, 14, 0])).toBe(true);
  expect(isAtLeast([2, 9, 25], [2, 14, 0])).toBe(false);
  expect(isAtLeast([3, 0, 0], [2, 14, 9])).toBe(true);
  expect(isAtLeast([2, 14, 0], [2, 14, 1])).toBe(false);
});
