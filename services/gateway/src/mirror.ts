/**
 * A bucket held in memory by its watch, so that asking costs nothing and a change is known within milliseconds. What
 * this process has just written through Convex is known here before it came back by way of the recorder.
 */
import type { Bucket } from "@tyto/bus";
import type { BucketName, BucketValue } from "@tyto/contracts";
import { BoundedMap } from "@tyto/service";

/** Beyond this many keys the rest is asked from the bucket itself. */
const mirrorEntriesMax = 50_000;
/** Own writes that have not come back yet. */
const pendingEntriesMax = 10_000;

export type Mirror<V> = {
  get(key: string): Promise<V | undefined>;
  /** Keys whose present value passes. */
  keysWhere(passes: (value: V) => boolean): string[];
  /** Takes `value` (`undefined`: gone) as true until the bucket says so itself. */
  expect(key: string, value: V | undefined): void;
  /** Resolves with the first value that passes, or with the present one after `waitMs`. */
  waitFor(key: string, passes: (value: V | undefined) => boolean, waitMs: number): Promise<V | undefined>;
  stop(): void;
};

/** Resolves when the present content is known. `onChange` is called for each value that arrives, the first ones too. */
export async function mirror<B extends BucketName>(
  bucket: Bucket<B>,
  onChange: (key: string, value: BucketValue<B> | undefined) => void = () => {},
): Promise<Mirror<BucketValue<B>>> {
  type V = BucketValue<B>;
  const known = new Map<string, V>();
  const pending = new BoundedMap<string, { value: V | undefined }>(pendingEntriesMax);
  const waiting = new Set<(key: string) => void>();
  let isWhole = true;

  const watch = await bucket.watch((key, value) => {
    if (value === undefined) known.delete(key);
    else if (known.has(key) || known.size < mirrorEntriesMax) known.set(key, value);
    else isWhole = false;
    // A removal is confirmed by a removal, a value by a value: what stood there before may still be on its way.
    const own = pending.get(key);
    if (own !== undefined && (own.value === undefined) === (value === undefined)) pending.delete(key);
    onChange(key, value);
    for (const wake of waiting) wake(key);
  });

  const current = (key: string): V | undefined => {
    const own = pending.get(key);
    return own === undefined ? known.get(key) : own.value;
  };
  const get = async (key: string): Promise<V | undefined> => {
    const value = current(key);
    return value === undefined && !isWhole && !pending.has(key) ? bucket.get(key) : value;
  };

  return {
    get,
    keysWhere(passes) {
      return [...new Set([...known.keys(), ...pending.keys()])].filter((key) => {
        const value = current(key);
        return value !== undefined && passes(value);
      });
    },
    expect(key, value) {
      pending.set(key, { value });
      for (const wake of waiting) wake(key);
    },
    async waitFor(key, passes, waitMs) {
      const present = await get(key);
      if (passes(present)) return present;
      return new Promise((resolve) => {
        const end = (value: V | undefined) => {
          clearTimeout(late);
          waiting.delete(wake);
          resolve(value);
        };
        const wake = (changed: string) => {
          if (changed !== key) return;
          const value = current(key);
          if (passes(value)) end(value);
        };
        const late = setTimeout(() => end(current(key)), waitMs);
        waiting.add(wake);
      });
    },
    stop: () => watch.stop(),
  };
}
