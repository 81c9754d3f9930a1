import { expect, test } from "bun:test";
import { isTried } from "./spans.ts";

test("what waits for its turn, or is given back because the service stops, is no attempt in a trace", () => {
  const kinds = ["delivered", "failed", "wait", "interrupted"] as const;
  expect(kinds.map((kind) => isTried({ kind }))).toEqual([true, true, false, false]);
});
