/**
 * A map of at most `entriesMax` entries, at least 1: who is set one too many makes it forget the one that was set longest
 * ago. Setting a key again makes it the youngest; reading does not.
 */
export class BoundedMap<K, V> extends Map<K, V> {
  readonly #entriesMax: number;
  /** Stands before the oldest key. A new one would walk over all that was deleted, each time. */
  #oldest: Iterator<K> | undefined;

  constructor(entriesMax: number) {
    super();
    this.#entriesMax = entriesMax;
  }

  override set(key: K, value: V): this {
    this.delete(key);
    super.set(key, value);
    if (this.size > this.#entriesMax) this.#forget();
    return this;
  }
  #forget(): void {
    this.#oldest ??= this.keys();
    let next = this.#oldest.next();
    if (next.done === true) {
      this.#oldest = this.keys();
      next = this.#oldest.next();
    }
    if (next.done !== true) this.delete(next.value);
  }
}
