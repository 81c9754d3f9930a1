import { expect, test } from "bun:test";
import { Failures, formatTally, readTally } from "./tally.ts";

test("the last summary of a run is counted", () => {
  const output =
    " 1 pass\n 0 fail\nRan 1 test\n\n 12 pass\n 2 skip\n 1 todo\n 3 fail\nRan 18 tests across 4 files.\n";
  expect(readTally(output, 1)).toEqual({ passed: 12, failed: 3, skipped: 3 });
});

test("colours do not hide the numbers", () => {
  expect(
    readTally("\u001b[0m\u001b[32m 7 pass\u001b[0m\n\u001b[0m\u001b[2m 0 fail\u001b[0m\n", 0).passed,
  ).toBe(7);
});

test("a run that died before its summary is a failure", () => {
  expect(readTally("panic", 134)).toEqual({ passed: 0, failed: 1, skipped: 0 });
});

test("the last line counts, and mentions what was skipped only when something was", () => {
  expect(formatTally({ passed: 3, failed: 0, skipped: 0 })).toBe("3 passed, 0 failed");
  expect(formatTally({ passed: 3, failed: 1, skipped: 2 })).toBe("3 passed, 1 failed, 2 skipped");
});

test("a failure is told with its own lines, however the output was cut", () => {
  const failures = new Failures();
  const output =
    "(pass) one\nerror: two is not three\n  at a.test.ts:3\n\u001b[31m(fail)\u001b[0m adds\n(pass) last\n(fail) adds\n";
  for (const char of output) failures.add(char);
  expect(failures.found).toEqual(["error: two is not three\n  at a.test.ts:3\n(fail) adds"]);
});

test("a failure with endless output is told by its end", () => {
  const failures = new Failures();
  failures.add(`${"noise\n".repeat(10_000)}(fail) loud\n`);
  expect(failures.found[0]?.split("\n")).toHaveLength(40);
});
