import type { Range, Row } from "../store/store.ts";
import { compareKeys, keyAfter, type SortKey } from "../values/sort-key.ts";
import type { JsonObject } from "../values/wire.ts";
import { truth } from "./filter.ts";
import type { Plan, Step } from "./plan.ts";

/** The transaction as a stream needs it. */
export type Source = {
  /** Rises with every write, so that rows fetched ahead can be given up. */
  readonly writeCount: number;
  /** One index range is being read. Throws LimitError when they are too many. */
  countQuery(): void;
  scan(plan: Plan, range: Range, rowsMax: number): Row[];
  /** One row was looked at. */
  countRead(row: Row): void;
  /** The stream has seen all of this range. */
  recordRead(plan: Plan, range: Range): void;
};

const FIRST_BATCH_ROWS = 32;
const BATCH_ROWS_MAX = 1024;

/** The rows of a plan, one after another. Reads are recorded only as far as the stream was consumed. */
export class QueryStream {
  readonly #plan: Plan;
  readonly #source: Source;
  readonly #left: (number | undefined)[];
  #rest: Range;
  #lookedAt: SortKey | undefined;
  #batch: Row[] = [];
  #at = 0;
  #batchRows: number;
  #batchWriteCount = -1;
  #isLastBatch = false;
  #isDone = false;
  #isCounted = false;
  /** Rows looked at, including those that a filter dropped. */
  rowsRead = 0;
  /** The key of the last of them. */
  lastKey: SortKey | undefined;

  constructor(plan: Plan, source: Source) {
    this.#plan = plan;
    this.#source = source;
    this.#rest = plan.range;
    this.#left = plan.steps.map((step) => (step.kind === "limit" ? step.rowsMax : undefined));
    const firstLimit = plan.steps[0]?.kind === "limit" ? plan.steps[0].rowsMax : undefined;
    this.#batchRows = Math.min(firstLimit ?? FIRST_BATCH_ROWS, BATCH_ROWS_MAX);
  }

  /** The range that has been consumed so far; the rest of the plan's range was not looked at. */
  get consumed(): Range {
    if (this.#isDone) return this.#plan.range;
    const rest = this.#remaining();
    return this.#plan.order === "asc"
      ? { start: this.#plan.range.start, end: rest.start }
      : { start: rest.end ?? this.#plan.range.start, end: this.#plan.range.end };
  }

  /** The next row that passes every step, or undefined at the end. */
  next(): Row | undefined {
    for (let looked = this.look(); looked !== undefined; looked = this.look()) {
      if (looked.isPassing) return looked.row;
    }
    return undefined;
  }

  /** Looks at one more row, which a filter may drop; undefined at the end. */
  look(): { row: Row; isPassing: boolean } | undefined {
    if (this.#isDone || this.#left.includes(0)) return undefined;
    const row = this.#nextRow();
    if (row === undefined) {
      this.#isDone = true;
      return undefined;
    }
    return { row, isPassing: this.#passes(row) };
  }

  /** Records what was read; call once, when no more rows are wanted. */
  close(): void {
    const { start, end } = this.consumed;
    if (end === undefined || compareKeys(start, end) < 0) this.#source.recordRead(this.#plan, { start, end });
  }

  /** What is left of the plan's range after the row that was looked at last. */
  #remaining(): Range {
    if (this.#lookedAt !== undefined) {
      this.#rest = rangeAfter(this.#rest, this.#lookedAt, this.#plan);
      this.#lookedAt = undefined;
    }
    return this.#rest;
  }

  #passes(row: Row): boolean {
    let document: JsonObject | undefined;
    const { steps } = this.#plan;
    for (let index = 0; index < steps.length; index++) {
      const step = steps[index];
      if (step === undefined) break;
      if (step.kind === "filter") {
        document ??= JSON.parse(row.json) as JsonObject;
        if (!isPassing(step, document)) return false;
      } else {
        this.#left[index] = (this.#left[index] ?? 0) - 1;
      }
    }
    return true;
  }

  #nextRow(): Row | undefined {
    if (!this.#isCounted) {
      this.#isCounted = true;
      this.#source.countQuery();
    }
    if (this.#batchWriteCount !== this.#source.writeCount) {
      // The function has written since: what was fetched ahead may be stale.
      this.#batch = [];
      this.#at = 0;
      this.#isLastBatch = false;
    }
    if (this.#at >= this.#batch.length) {
      if (this.#isLastBatch) return undefined;
      this.#batch = this.#source.scan(this.#plan, this.#remaining(), this.#batchRows);
      this.#at = 0;
      this.#isLastBatch = this.#batch.length < this.#batchRows;
      this.#batchRows = Math.min(this.#batchRows * 2, BATCH_ROWS_MAX);
      this.#batchWriteCount = this.#source.writeCount;
    }
    const row = this.#batch[this.#at];
    if (row === undefined) return undefined;
    // A row over a limit is counted but not passed: a page ends before it.
    this.#source.countRead(row);
    this.#at++;
    this.rowsRead++;
    this.#lookedAt = row.key;
    this.lastKey = row.key;
    return row;
  }
}

const isPassing = (step: Step & { kind: "filter" }, document: JsonObject) => truth(step.passes(document));

/** What is left of a range after the row with this key. */
export const rangeAfter = (range: Range, key: SortKey, { order }: Pick<Plan, "order">): Range =>
  order === "asc" ? { start: keyAfter(key), end: range.end } : { start: range.start, end: key };
