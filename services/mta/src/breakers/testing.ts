import type { BreakerRecord } from "@tyto/contracts";
import type { Breakers } from "./breakers.ts";
import type { CountingPorts } from "./counting.ts";

/** A bucket in memory that several processes change; each hears at once what another stored. */
export function storeOf() {
  const rows = new Map<string, { value: BreakerRecord; revision: number }>();
  const processes: Breakers[] = [];
  let writes = 0;
  const store = {
    isAway: false,
    writes: () => writes,
    join(breakers: Breakers) {
      processes.push(breakers);
      for (const { value, revision } of rows.values()) breakers.restore(structuredClone(value), revision);
    },
    bucket: {
      async update(key, record, revision) {
        if (store.isAway) throw new Error("away");
        if (record === undefined || (rows.get(key)?.revision ?? 0) !== revision) return undefined;
        writes++;
        const value = structuredClone(record);
        rows.set(key, { value, revision: revision + 1 });
        for (const process of processes) process.restore(structuredClone(value), revision + 1);
        return revision + 1;
      },
      find: async (key) => structuredClone(rows.get(key)),
    } satisfies CountingPorts["bucket"],
  };
  return store;
}
