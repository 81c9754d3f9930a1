import { expect, test } from "bun:test";
import { formatBytes, formatCount, formatShare } from "./size.ts";

test.each([
  [0, "0 B"],
  [1_023, "1023 B"],
  [14_541, "14.2 KiB"],
  [3_145_728, "3 MiB"],
])("%d bytes read %p", (bytes, expected) => {
  expect(formatBytes(bytes, "en-US")).toBe(expected);
});

test("counts and shares follow the language", () => {
  expect(formatCount(12_345, "de-DE")).toBe("12.345");
  expect(formatShare(985, 1_000, "en-US")).toBe("98.5%");
  expect(formatShare(0, 0, "en-US")).toBe("–");
});
