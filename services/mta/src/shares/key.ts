/** One key in this process: what is wanted of it, what may be used, and what is being written. */
import type { ShareRecord } from "@tyto/contracts";
import { type Limit, noClaim, type Part, readClaim, targetOf, viewOf } from "./claim.ts";
import type { Standing } from "./mode.ts";
import type { Wish } from "./revision.ts";
import type { RecordWrite } from "./write.ts";

/** A record that was said to have changed, and of which nothing is heard for this time, has gone by age. */
const unheardMsMax = 5_000;

export const nothing: Limit = { connectionsMax: 0, perMinute: 0 };

export class Key implements Wish {
  limit: Limit;
  wanted = 0;
  askedMs: number;
  toldMs = Number.NEGATIVE_INFINITY;
  sunkMs: number | undefined;
  /** What may be used, as it was announced last. */
  share: Limit = nothing;
  writing: RecordWrite | undefined;
  /** What is being written, or may have been: nothing beyond it is used until the record is known again. */
  #pending: { part: Part; revision: number; sinceMs: number } | undefined;

  constructor(limit: Limit, nowMs: number) {
    this.limit = limit;
    this.askedMs = nowMs;
  }

  get isPending(): boolean {
    return this.#pending !== undefined;
  }
  /** A write is in doubt, and the record that would settle it does not come. */
  isUnheard(nowMs: number): boolean {
    return (
      this.#pending !== undefined &&
      this.writing === undefined &&
      nowMs - this.#pending.sinceMs >= unheardMsMax
    );
  }

  /** What may be used among others: what is held, and of it what stays when all have told what they want. */
  shareOf(record: ShareRecord, { id, isLive }: Standing): Limit {
    const view = viewOf(record, id, isLive, this.limit);
    if (view.held === undefined) return nothing;
    const target = targetOf(view, view.held.wanted, view.turn);
    const pending = this.#pending?.part ?? target;
    return {
      connectionsMax: Math.min(view.held.connections, target.connections, pending.connections),
      perMinute: Math.min(view.held.perMinute, target.perMinute, pending.perMinute),
    };
  }

  /** The claim of one who was alone covers all that it used. */
  isCoveredBy(record: ShareRecord, id: string): boolean {
    const stored = record.claims[id];
    if (stored === undefined) return false;
    const { connections, perMinute } = readClaim(stored);
    return connections >= this.limit.connectionsMax && perMinute >= this.limit.perMinute;
  }

  begin(write: RecordWrite, id: string, nowMs: number): void {
    const own = write.value?.claims[id];
    const part = own === undefined ? noClaim : readClaim(own);
    // An earlier write whose fate is not known counts as well.
    const doubted = this.#pending?.part ?? part;
    this.#pending = {
      part: {
        connections: Math.min(part.connections, doubted.connections),
        perMinute: Math.min(part.perMinute, doubted.perMinute),
      },
      revision: write.revision,
      sinceMs: nowMs,
    };
    this.writing = write;
    this.toldMs = nowMs;
  }

  /** A newer record than the one that was to be replaced: the write is in it, or can never be. */
  settle(revision: number): void {
    if (this.#pending !== undefined && revision > this.#pending.revision) this.#pending = undefined;
  }

  /** What was being written belongs to an earlier life. */
  drop(): void {
    this.#pending = undefined;
    this.writing = undefined;
  }
}
