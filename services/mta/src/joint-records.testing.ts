import type { JointPorts } from "./joint-records.ts";

type Store<V> = JointPorts<V>["bucket"] & {
  /** While true, nothing is answered. */
  isAway: boolean;
  writes(): number;
  /** Tells a process what is there, and from now on what others store. */
  watch(heard: (key: string, value: V | undefined, revision: number) => void): void;
};

/** A bucket in memory that several processes change; each hears at once what another stored. */
export function createStore<V extends object>(): Store<V> {
  const rows = new Map<string, { value: V | undefined; revision: number }>();
  const watches: Parameters<Store<V>["watch"]>[0][] = [];
  let last = 0;
  const store: Store<V> = {
    isAway: false,
    writes: () => last,
    watch(heard) {
      watches.push(heard);
      for (const [key, { value, revision }] of rows) heard(key, structuredClone(value), revision);
    },
    async update(key, value, revision) {
      // No server answers in the same breath.
      await Promise.resolve();
      if (store.isAway) throw new Error("away");
      if ((rows.get(key)?.revision ?? 0) !== revision) return undefined;
      const stored = { value: structuredClone(value), revision: ++last };
      rows.set(key, stored);
      for (const heard of watches) heard(key, structuredClone(value), stored.revision);
      return stored.revision;
    },
    async find(key) {
      if (store.isAway) throw new Error("away");
      return structuredClone(rows.get(key));
    },
  };
  return store;
}
