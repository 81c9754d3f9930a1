/** All keys of this process and the records of their claims, as far as they are known; and what of it is to be written. */
import type { ShareRecord } from "@tyto/contracts";
import { emptyRecord, isSameLimit, type Limit } from "./claim.ts";
import { Key, nothing } from "./key.ts";
import type { Standing } from "./mode.ts";
import { idleMs, revise } from "./revision.ts";
import type { RecordWrite, Written } from "./write.ts";

/** What waits for time to pass is looked at so often. */
const restlessMs = 100;
const sweepMs = 5_000;
/** Records on their way at a time. */
const writesMax = 64;
/** Keys in use at a time; further ones get nothing until others rest. */
const keysMax = 50_000;

type Stored = { record: ShareRecord; revision: number };
const unstored: Stored = { record: emptyRecord, revision: 0 };

export type LedgerPorts = {
  /** Connections for `key` that are open or being opened, each until it is closed. */
  inUse(key: string): number;
  /** What this process may use of `key` has changed; without a key, of all. */
  onChange(key: string | undefined): void;
};

export class Ledger {
  readonly #standing: Standing;
  readonly #ports: LedgerPorts;
  readonly #keys = new Map<string, Key>();
  readonly #records = new Map<string, Stored>();
  /** Keys to be looked at now, and those to be looked at when some time has passed. */
  readonly #dirty = new Set<string>();
  readonly #restless = new Set<string>();
  /** Keys used while alone whose claims are not written yet; until it is empty the others wait. */
  #owed: Set<string> | undefined;
  #lookedMs = Number.NEGATIVE_INFINITY;
  #sweptMs = Number.NEGATIVE_INFINITY;
  #writing = 0;

  /** `standing` is looked at each time: it changes. */
  constructor(standing: Standing, ports: LedgerPorts) {
    this.#standing = standing;
    this.#ports = ports;
  }

  get size(): number {
    return this.#keys.size;
  }
  key(name: string): Key | undefined {
    return this.#keys.get(name);
  }
  recordOf(name: string): ShareRecord {
    return this.#stored(name).record;
  }
  #stored(name: string): Stored {
    return this.#records.get(name) ?? unstored;
  }
  /** Nothing of any key is open. */
  isIdle(): boolean {
    return this.#keys.keys().every((name) => this.#ports.inUse(name) === 0);
  }
  /** The others have to wait: what was used without a claim is not written yet. */
  get owes(): boolean {
    return this.#owed !== undefined;
  }

  /** What may be used of a key with this limit over all processes. */
  ask(name: string, limit: Limit, nowMs: number): Limit {
    const key = this.#keys.get(name) ?? this.#open(name, limit, nowMs);
    if (key === undefined) return nothing;
    key.askedMs = nowMs;
    if (!isSameLimit(key.limit, limit)) {
      key.limit = limit;
      key.share = this.#shareOf(name, key);
      this.#dirty.add(name);
    }
    return key.share;
  }

  #open(name: string, limit: Limit, nowMs: number): Key | undefined {
    if (this.#keys.size >= keysMax) return undefined;
    const key = new Key(limit, nowMs);
    this.#keys.set(name, key);
    key.share = this.#shareOf(name, key);
    this.#dirty.add(name);
    return key;
  }

  want(name: string, wanted: number): void {
    const key = this.#keys.get(name);
    if (key === undefined || key.wanted === wanted) return;
    key.wanted = wanted;
    if (this.#standing.mode === "shared") this.#dirty.add(name);
  }

  /** A record was stored, by whomever. Older ones than the one that is known tell nothing. */
  learn(name: string, record: ShareRecord | undefined, revision: number): void {
    if (revision <= this.#stored(name).revision) return;
    this.#records.set(name, { record: record ?? emptyRecord, revision });
    const key = this.#keys.get(name);
    if (key === undefined) return;
    if (key.writing === undefined) key.settle(revision);
    if (this.#owed?.has(name) === true && this.#isCovered(name, key)) this.#owed.delete(name);
    this.#announce(name, key);
    this.#dirty.add(name);
  }

  /** From now on all that was used without a claim is owed to the others. */
  beginOwing(): void {
    this.#owed = new Set();
    for (const [name, key] of this.#keys) if (!this.#isCovered(name, key)) this.#owed.add(name);
  }
  endOwing(): void {
    this.#owed = undefined;
  }
  endOwingWhenPaid(): void {
    if (this.#owed?.size === 0) this.#owed = undefined;
  }

  /** The mode has changed: so has every share. */
  recount(): void {
    for (const [name, key] of this.#keys) {
      key.share = this.#shareOf(name, key);
      this.#dirty.add(name);
    }
    this.#ports.onChange(undefined);
  }
  /** Somebody came or went: some shares may have changed. */
  membersChanged(): void {
    for (const [name, key] of this.#keys) {
      this.#announce(name, key);
      this.#dirty.add(name);
    }
  }
  /** Another life begins: all records are heard again, in their order. */
  forgetRecords(): void {
    this.#owed = undefined;
    this.#records.clear();
    for (const key of this.#keys.values()) key.drop();
  }

  #isCovered(name: string, key: Key): boolean {
    return key.isCoveredBy(this.#stored(name).record, this.#standing.id);
  }
  #shareOf(name: string, key: Key): Limit {
    const { mode } = this.#standing;
    if (mode === "alone" || this.#owed?.has(name) === true) return key.limit;
    return mode === "shared" ? key.shareOf(this.#stored(name).record, this.#standing) : nothing;
  }
  #announce(name: string, key: Key): void {
    const share = this.#shareOf(name, key);
    if (isSameLimit(share, key.share)) return;
    key.share = share;
    this.#ports.onChange(name);
  }

  /** Time has passed: what waited for that is looked at again. */
  wake(nowMs: number): void {
    if (nowMs - this.#lookedMs < restlessMs) return;
    this.#lookedMs = nowMs;
    for (const name of this.#restless) this.#dirty.add(name);
    this.#restless.clear();
    for (const [name, key] of this.#keys) {
      if (!key.isUnheard(nowMs)) continue;
      this.#records.delete(name);
      this.#dirty.add(name);
    }
  }

  /** The claims that are to be written now. */
  claims(nowMs: number, wallMs: number): RecordWrite[] {
    const writes: RecordWrite[] = [];
    for (const name of this.#dirty) {
      if (this.#writing >= writesMax) break;
      this.#dirty.delete(name);
      const key = this.#keys.get(name);
      if (key === undefined || key.writing !== undefined) continue;
      const write = this.#revise(name, key, nowMs, wallMs);
      if (write !== undefined) {
        key.begin(write, this.#standing.id, nowMs);
        this.#writing++;
        writes.push(write);
      }
      this.#announce(name, key);
    }
    return writes;
  }

  #revise(name: string, key: Key, nowMs: number, wallMs: number): RecordWrite | undefined {
    const { record, revision } = this.#stored(name);
    const { id, isLive } = this.#standing;
    const open = this.#ports.inUse(name);
    const owes = this.#owed?.has(name) === true;
    const next = revise(record, key, { id, isLive, open, owes, nowMs, wallMs });
    if (next.kind === "forget") {
      this.#keys.delete(name);
      return undefined;
    }
    key.sunkMs = next.sunkMs;
    if (next.isRestless) this.#restless.add(name);
    return next.kind === "write" ? { kind: "record", key: name, value: next.record, revision } : undefined;
  }

  written(write: RecordWrite, result: Written): void {
    this.#writing--;
    const { key: name, value } = write;
    const key = this.#keys.get(name);
    const isCurrent = key?.writing === write;
    if (isCurrent) key.writing = undefined;
    if (result.kind === "stored") this.learn(name, value, result.revision);
    if (!isCurrent) return;
    key.settle(this.#stored(name).revision);
    // Lost to a record that has not come yet: its coming is waited for.
    if (result.kind === "unknown") this.#restless.add(name);
    else if (!key.isPending) this.#dirty.add(name);
    this.#announce(name, key);
  }

  /** Lets go of keys that nobody asked for; who is alone removes records that nobody alive needs. */
  sweep(nowMs: number): RecordWrite[] {
    if (nowMs - this.#sweptMs < sweepMs) return [];
    this.#sweptMs = nowMs;
    const { mode } = this.#standing;
    for (const [name, { askedMs, wanted, writing }] of this.#keys) {
      if (nowMs - askedMs <= idleMs || wanted > 0 || this.#ports.inUse(name) > 0) continue;
      if (mode === "shared") this.#dirty.add(name);
      else if (writing === undefined) this.#keys.delete(name);
    }
    return mode === "alone" ? this.#removals() : [];
  }

  #removals(): RecordWrite[] {
    const stale: RecordWrite[] = [];
    for (const [name, { record, revision }] of this.#records) {
      if (this.#writing >= writesMax) break;
      if (Object.keys(record.claims).length === 0 || this.#keys.get(name)?.writing !== undefined) continue;
      stale.push({ kind: "record", key: name, value: undefined, revision });
      this.#writing++;
    }
    return stale;
  }
}
