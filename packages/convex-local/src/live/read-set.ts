import type { Range } from "../store/store.ts";
import { keyAfter, type SortKey } from "../values/sort-key.ts";

/** One range of one index that a query has looked at, whether or not rows were there. */
export type Read = Range & { indexId: number };

/** Everything a query has looked at: it must run again when a write falls into one of these ranges. */
export class ReadSet {
  readonly reads: Read[] = [];

  addRange(indexId: number, range: Range): void {
    this.reads.push({ indexId, ...range });
  }

  addKey(indexId: number, key: SortKey): void {
    this.reads.push({ indexId, start: key, end: keyAfter(key) });
  }
}
