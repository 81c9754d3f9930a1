/** What will happen, by its time: a binary heap. What was put in first comes first at the same time. */
export class Agenda<T> {
  readonly #items: { atMs: number; order: number; what: T }[] = [];
  #order = 0;

  get size(): number {
    return this.#items.length;
  }

  add(atMs: number, what: T): void {
    const items = this.#items;
    const item = { atMs, order: this.#order++, what };
    let at = items.length;
    items.push(item);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = items[parent];
      if (above === undefined || !isBefore(item, above)) break;
      items[at] = above;
      at = parent;
    }
    items[at] = item;
  }

  /** Takes out what comes first. */
  next(): { atMs: number; what: T } | undefined {
    const items = this.#items;
    const [first] = items;
    const last = items.pop();
    if (first === undefined || last === undefined || items.length === 0) return first;
    let at = 0;
    for (;;) {
      const left = 2 * at + 1;
      const [one, other] = [items[left], items[left + 1]];
      if (one === undefined) break;
      const child = other !== undefined && isBefore(other, one) ? left + 1 : left;
      const below = items[child];
      if (below === undefined || !isBefore(below, last)) break;
      items[at] = below;
      at = child;
    }
    items[at] = last;
    return first;
  }
}

type Timed = { atMs: number; order: number };
const isBefore = (a: Timed, b: Timed) => a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);

/** Numbers from 0 up to 1 that are the same for the same seed (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
