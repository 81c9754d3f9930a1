import { BoundedMap } from "@tyto/bounds";

/** A map with a bound and an end for each entry; the entry unused for longest leaves first. */
export class TtlCache<V> {
  readonly #entries: BoundedMap<string, { value: V; endsAtMs: number }>;
  readonly #now: () => number;

  constructor(entriesMax: number, now: () => number) {
    this.#entries = new BoundedMap(entriesMax);
    this.#now = now;
  }

  /** The value and the time it has left, or `undefined`. */
  get(key: string): { value: V; leftMs: number } | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    const leftMs = entry.endsAtMs - this.#now();
    this.#entries.delete(key);
    if (leftMs <= 0) return undefined;
    // Put back as the youngest, which makes the order of age that of use.
    this.#entries.set(key, entry);
    return { value: entry.value, leftMs };
  }

  set(key: string, value: V, ttlMs: number): void {
    if (ttlMs <= 0) this.#entries.delete(key);
    else this.#entries.set(key, { value, endsAtMs: this.#now() + ttlMs });
  }

  get size(): number {
    return this.#entries.size;
  }
}
