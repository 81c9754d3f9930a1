/**
 * A map of at most `entriesMax` entries, at least 1: who is set one too many makes it forget the one that was set longest
 * ago. Setting a key again makes it the youngest; reading does not.
 */
export class BoundedMap<K, V> extends Map<K, V> {
  readonly #entriesMax: number;

  constructor(entriesMax: number) {
    super();
    this.#entriesMax = entriesMax;
  }

  override set(key: K, value: V): this {
    this.delete(key);
    super.set(key, value);
    const oldest = this.size > this.#entriesMax ? this.keys().next() : undefined;
    if (oldest?.done === false) this.delete(oldest.value);
    return this;
  }
}
