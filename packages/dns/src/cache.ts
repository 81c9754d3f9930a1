/** A map with a bound and an end for each entry; the entry unused for longest leaves first. */
export class TtlCache<V> {
  readonly #entries = new Map<string, { value: V; endsAtMs: number }>();
  readonly #entriesMax: number;
  readonly #now: () => number;

  constructor(entriesMax: number, now: () => number) {
    this.#entriesMax = entriesMax;
    this.#now = now;
  }

  /** The value and the time it has left, or `undefined`. */
  get(key: string): { value: V; leftMs: number } | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    const leftMs = entry.endsAtMs - this.#now();
    this.#entries.delete(key);
    if (leftMs <= 0) return undefined;
    // Put back at the end: Map keeps insertion order, which makes it the order of use.
    this.#entries.set(key, entry);
    return { value: entry.value, leftMs };
  }

  set(key: string, value: V, ttlMs: number): void {
    this.#entries.delete(key);
    if (ttlMs <= 0) return;
    this.#entries.set(key, { value, endsAtMs: this.#now() + ttlMs });
    if (this.#entries.size <= this.#entriesMax) return;
    const oldest = this.#entries.keys().next();
    if (!oldest.done) this.#entries.delete(oldest.value);
  }

  get size(): number {
    return this.#entries.size;
  }
}
