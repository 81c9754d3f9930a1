import { expect, test } from "bun:test";
import { afterEnd, type End } from "./restart.ts";

const end = (changes: Partial<End>): End => ({
  code: 1,
  livedMs: 10,
  failures: 0,
  wasReady: true,
  ...changes,
});

test("waits double from half a second up to half a minute", () => {
  const waits: number[] = [];
  for (let failures = 0; failures < 9; ) {
    const decision = afterEnd(end({ failures }));
    if (decision.kind !== "restart") throw new Error("gave up");
    waits.push(decision.afterMs);
    failures = decision.failures;
  }
  expect(waits).toEqual([500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
});

test("a long life clears earlier failures", () => {
  expect(afterEnd(end({ failures: 7, livedMs: 60_000 }))).toEqual({
    kind: "restart",
    afterMs: 500,
    failures: 1,
  });
});

test("what never became ready is given up after three ends; what was ready is not", () => {
  expect(afterEnd(end({ failures: 2, wasReady: false })).kind).toBe("give-up");
  expect(afterEnd(end({ failures: 1, wasReady: false })).kind).toBe("restart");
  expect(afterEnd(end({ failures: 400 })).kind).toBe("restart");
});

test("a wrong setting is not tried again, a kill is", () => {
  expect(afterEnd(end({ code: 78 })).kind).toBe("give-up");
  expect(afterEnd(end({ code: null })).kind).toBe("restart");
});
