import { expect, test } from "bun:test";
import { Random } from "../../fixtures/random.ts";
import type { Range } from "../store/store.ts";
import { compareKeys } from "../values/sort-key.ts";
import { Intervals } from "./intervals.ts";

test("exactly the owners of ranges that hold a key are found, after any adding and removing", () => {
  const random = new Random(99);
  const key = () => Uint8Array.from({ length: 1 + random.below(2) }, () => random.below(6));
  const intervals = new Intervals<number>();
  let ranges: (Range & { owner: number })[] = [];
  for (let round = 0; round < 2000; round++) {
    if (random.below(4) === 0 && ranges.length > 0) {
      const gone = random.pick(ranges).owner;
      intervals.remove(gone);
      ranges = ranges.filter(({ owner }) => owner !== gone);
    } else {
      for (let more = 1 + random.below(3); more > 0; more--) {
        const range = { start: key(), end: random.below(5) === 0 ? undefined : key() };
        intervals.add(range, round);
        ranges.push({ ...range, owner: round });
      }
    }
    if (ranges.length > 200) {
      for (const { owner } of ranges) intervals.remove(owner);
      ranges = [];
    }
    expect(intervals.size).toBe(ranges.length);
    const asked = key();
    const found = new Set<number>();
    intervals.collect(asked, found);
    const expected = ranges.filter(
      ({ start, end }) =>
        compareKeys(start, asked) <= 0 && (end === undefined || compareKeys(asked, end) < 0),
    );
    expect(found).toEqual(new Set(expected.map(({ owner }) => owner)));
  }
});
