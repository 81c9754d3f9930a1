import { expect, test } from "bun:test";
import { createCollecting } from "./garbage.ts";

const mb = 1_048_576;

/** Looks once for each number of MB that the process takes, a second apart; tells at which it collected. */
function collectedAt(takenMb: readonly number[], apartMs = 1_000): number[] {
  let at = -1;
  let nowMs = 0;
  const look = createCollecting({
    takenBytes: () => (takenMb[at] ?? 0) * mb,
    collect() {},
    now: () => nowMs,
  });
  return takenMb.filter(() => {
    at++;
    nowMs += apartMs;
    return look();
  });
}

test("a process that takes little is left alone, one that takes much is not", () => {
  expect(collectedAt([50, 100, 150, 159])).toEqual([]);
  expect(collectedAt([50, 100, 165])).toEqual([165]);
});

test("what stays after a collection is alive: the next comes when as much again as a burst leaves was added", () => {
  expect(collectedAt([250, 230, 240, 260, 277, 279])).toEqual([250, 279]);
  // Given back a moment after the collection.
  expect(collectedAt([250, 250, 120, 150, 161, 167, 170])).toEqual([250, 170]);
});

test("collections keep their distance however fast garbage comes", () => {
  expect(collectedAt([200, 300, 400, 500, 600, 700], 100)).toEqual([200, 700]);
});
