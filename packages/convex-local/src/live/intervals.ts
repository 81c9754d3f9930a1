import type { Range } from "../store/store.ts";
import { compareKeys, type SortKey } from "../values/sort-key.ts";

type Interval<T> = Range & { owner: T };

/**
 * Key ranges of one index, and which of them hold a key. Ranges are kept sorted by start; a segment tree over
 * their ends, rebuilt after a change when it is next asked, skips those that end too early.
 */
export class Intervals<T> {
  #sorted: Interval<T>[] = [];
  /** The larger end of each pair of nodes, leaves last; undefined means unbounded, null means no range. */
  #ends: (SortKey | undefined | null)[] = [];
  #leaves = 0;
  #isStale = true;

  get size(): number {
    return this.#sorted.length;
  }

  add(range: Range, owner: T): void {
    this.#sorted.splice(this.#firstAfter(range.start), 0, { ...range, owner });
    this.#isStale = true;
  }

  /** Removes every range of these owners. */
  remove(owners: ReadonlySet<T>): void {
    this.#sorted = this.#sorted.filter(({ owner }) => !owners.has(owner));
    this.#isStale = true;
  }

  /** Adds the owners of all ranges that hold the key. */
  collect(key: SortKey, found: Set<T>): void {
    if (this.#isStale) this.#rebuild();
    const count = this.#firstAfter(key);
    if (count > 0) this.#walk(1, 0, this.#leaves, count, key, found);
  }

  #walk(node: number, from: number, to: number, count: number, key: SortKey, found: Set<T>): void {
    if (from >= count || !endsAfter(this.#ends[node], key)) return;
    if (to - from === 1) {
      const interval = this.#sorted[from];
      if (interval !== undefined) found.add(interval.owner);
      return;
    }
    const middle = (from + to) / 2;
    this.#walk(2 * node, from, middle, count, key, found);
    this.#walk(2 * node + 1, middle, to, count, key, found);
  }

  #rebuild(): void {
    this.#leaves = 1;
    while (this.#leaves < this.#sorted.length) this.#leaves *= 2;
    this.#ends = new Array<SortKey | undefined | null>(2 * this.#leaves).fill(null);
    for (const [index, { end }] of this.#sorted.entries()) this.#ends[this.#leaves + index] = end;
    for (let node = this.#leaves - 1; node > 0; node--) {
      this.#ends[node] = later(this.#ends[2 * node], this.#ends[2 * node + 1]);
    }
    this.#isStale = false;
  }

  /** How many ranges start at or before the key. */
  #firstAfter(key: SortKey): number {
    let low = 0;
    let high = this.#sorted.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const interval = this.#sorted[middle];
      if (interval !== undefined && compareKeys(interval.start, key) <= 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

type End = SortKey | undefined | null;

const endsAfter = (end: End, key: SortKey) =>
  end === undefined || (end !== null && compareKeys(end, key) > 0);

function later(left: End, right: End): End {
  if (left === null) return right;
  if (right === null) return left;
  if (left === undefined || right === undefined) return undefined;
  return compareKeys(left, right) >= 0 ? left : right;
}
