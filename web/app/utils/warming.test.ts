import { expect, test } from "bun:test";
import { usedShare } from "./warming.ts";

test("a share of the cap; a cap of nothing is used up, and no cap has no share", () => {
  expect([usedShare(412, 1_100), usedShare(60, 50), usedShare(0, 0), usedShare(5, undefined)]).toEqual([
    412 / 1_100,
    1,
    1,
    undefined,
  ]);
});
