import type { Range } from "../store/store.ts";
import { compareKeys, type SortKey } from "../values/sort-key.ts";

type Interval<T> = {
  start: SortKey;
  end: SortKey | undefined /** null when it was removed. */;
  owner: T | null;
};

/** So many changes, and a share of all ranges more, are put up with before the tree is built anew. */
const CHANGES_MAX = 32;
const CHANGES_SHARE = 1 / 8;

/**
 * Key ranges of one index, and which of them hold a key. Most are sorted by start, with a segment tree over their
 * ends that skips those that end too early. Ranges that came since are looked at one by one, those that went are
 * only marked; when they are many everything is sorted anew, so that a change costs little on average.
 */
export class Intervals<T> {
  #sorted: Interval<T>[] = [];
  /** The larger end of each pair of nodes, leaves last; undefined means unbounded, null means no range. */
  #ends: (SortKey | undefined | null)[] = [];
  #leaves = 0;
  #added: Interval<T>[] = [];
  #removed = 0;
  readonly #byOwner = new Map<T, Interval<T>[]>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  add({ start, end }: Range, owner: T): void {
    const interval: Interval<T> = { start, end, owner };
    this.#added.push(interval);
    const others = this.#byOwner.get(owner);
    if (others === undefined) this.#byOwner.set(owner, [interval]);
    else others.push(interval);
    this.#size++;
  }

  /** Removes every range of the owner. */
  remove(owner: T): void {
    const intervals = this.#byOwner.get(owner) ?? [];
    for (const interval of intervals) interval.owner = null;
    this.#byOwner.delete(owner);
    this.#size -= intervals.length;
    this.#removed += intervals.length;
  }

  /** Adds the owners of all ranges that hold the key. */
  collect(key: SortKey, found: Set<T>): void {
    if (this.#added.length + this.#removed > CHANGES_MAX + this.#size * CHANGES_SHARE) this.#rebuild();
    for (const { start, end, owner } of this.#added) {
      if (owner !== null && compareKeys(start, key) <= 0 && endsAfter(end, key)) found.add(owner);
    }
    const count = this.#firstAfter(key);
    if (count > 0) this.#walk(1, 0, this.#leaves, count, key, found);
  }

  #walk(node: number, from: number, to: number, count: number, key: SortKey, found: Set<T>): void {
    if (from >= count || !endsAfter(this.#ends[node], key)) return;
    if (to - from === 1) {
      const interval = this.#sorted[from];
      if (interval !== undefined && interval.owner !== null) found.add(interval.owner);
      return;
    }
    const middle = (from + to) / 2;
    this.#walk(2 * node, from, middle, count, key, found);
    this.#walk(2 * node + 1, middle, to, count, key, found);
  }

  #rebuild(): void {
    this.#sorted = [...this.#sorted, ...this.#added]
      .filter(({ owner }) => owner !== null)
      .sort((left, right) => compareKeys(left.start, right.start));
    this.#added = [];
    this.#removed = 0;
    this.#leaves = 1;
    while (this.#leaves < this.#sorted.length) this.#leaves *= 2;
    this.#ends = new Array<SortKey | undefined | null>(2 * this.#leaves).fill(null);
    for (const [index, { end }] of this.#sorted.entries()) this.#ends[this.#leaves + index] = end;
    for (let node = this.#leaves - 1; node > 0; node--) {
      this.#ends[node] = later(this.#ends[2 * node], this.#ends[2 * node + 1]);
    }
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
