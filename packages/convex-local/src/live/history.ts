import type { Transaction } from "../functions/transaction.ts";
import { byIdIndexId, type Store, type Table, type Write } from "../store/store.ts";
import type { SortKey } from "../values/sort-key.ts";
import type { JsonObject } from "../values/wire.ts";

/** A document as it was before a commit; null where there was none. */
type Change = { ts: number; tableId: number; key: SortKey; before: JsonObject | null };

/** As long as somebody has asked for a timestamp within this time, changes are remembered. */
const REMEMBERED_MS_MAX = 5 * 60_000;
const CHANGES_MAX = 50_000;

/**
 * What documents were before recent commits, so that queries can be asked about an older moment. Nothing is kept
 * unless a client has asked which moment it is: few do.
 */
export class History {
  readonly #store: Store;
  readonly #now: () => number;
  #changes: Change[] = [];
  /** From this timestamp on everything is remembered. */
  #sinceTs = Number.POSITIVE_INFINITY;
  #untilMs = 0;

  constructor(store: Store, now: () => number) {
    this.#store = store;
    this.#now = now;
  }

  /** The timestamp of now, about which queries can be asked for a while. */
  begin(): number {
    this.#forgetOld();
    this.#untilMs = this.#now() + REMEMBERED_MS_MAX;
    this.#sinceTs = Math.min(this.#sinceTs, this.#store.ts);
    return this.#store.ts;
  }

  record(ts: number, writes: readonly Write[]): void {
    if (this.#sinceTs === Number.POSITIVE_INFINITY) return;
    this.#forgetOld();
    for (const { indexId, key, before } of writes) {
      if (before !== undefined && indexId < 0) this.#changes.push({ ts, tableId: -indexId, key, before });
    }
    if (this.#changes.length <= CHANGES_MAX) return;
    const dropped = this.#changes.splice(0, this.#changes.length - CHANGES_MAX).at(-1);
    this.#sinceTs = dropped?.ts ?? this.#sinceTs;
  }

  /** Whether the state of that moment can still be had. */
  has(ts: number): boolean {
    return ts === this.#store.ts || (ts >= this.#sinceTs && ts < this.#store.ts);
  }

  /** Takes back, within a transaction that will not be committed, what has happened since. */
  rewind(transaction: Transaction, ts: number): void {
    const tables = new Map<number, Table>(
      this.#store.allTables().map((table) => [byIdIndexId(table), table]),
    );
    const writes: Write[] = [];
    for (const change of this.#changes.toReversed()) {
      if (change.ts <= ts) break;
      const table = tables.get(-change.tableId);
      if (table === undefined) continue;
      transaction.open();
      const found = this.#store.get(table, change.key);
      const current = found === undefined ? null : (JSON.parse(found.json) as JsonObject);
      const { key, before } = change;
      if (found === undefined || current === null) {
        if (before !== null) this.#store.insert(table, key, before, writes);
      } else if (before === null) this.#store.remove(table, found, key, current, writes);
      else this.#store.update(table, found, key, current, before, writes);
      writes.length = 0;
    }
  }

  /** Older moments are lost: after changes that were not recorded. */
  forget(): void {
    this.#untilMs = 0;
    this.#forgetOld();
  }

  #forgetOld(): void {
    if (this.#now() < this.#untilMs) return;
    this.#changes = [];
    this.#sinceTs = Number.POSITIVE_INFINITY;
  }
}
