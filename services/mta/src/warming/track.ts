import type { WarmingRecord } from "@tyto/contracts";
import type { PlannedEgress } from "../egress/plan.ts";
import { begin, onDayOf } from "./course.ts";
import { dateOf } from "./schedule.ts";

/**
 * Stores the record if it is still at `revision` (0: there is none). Tells the new revision, or `undefined` when another
 * process was first: `restore` brings what that one stored.
 */
export type Update = (egress: string, record: WarmingRecord, revision: number) => Promise<number | undefined>;

/** Another process was first so often: the message waits. */
const updateTriesMax = 6;
/** What another process stored is told within this time. */
const newsMsMax = 1_000;

/** The record of one address, which all processes change in turns. */
export class Track {
  readonly id: string;
  /** As it was told or stored last; absent before anything was. */
  record: WarmingRecord | undefined;
  readonly #since: string | undefined;
  readonly #update: Update;
  #revision = 0;
  /** Changes of this process, one after the other. */
  #turn: Promise<unknown> = Promise.resolve();
  #news: (() => void)[] = [];

  constructor({ id, since }: Pick<PlannedEgress, "id" | "since">, update: Update) {
    this.id = id;
    this.#since = typeof since === "string" ? undefined : since.date;
    this.#update = update;
  }

  get isWarm(): boolean {
    return this.record?.phase === "warm";
  }

  /** The record as it is today; an address whose date was changed by the operator begins again. */
  today(nowMs: number): WarmingRecord {
    const { record } = this;
    const isOfPlan = record !== undefined && (this.#since === undefined || this.#since === record.since);
    return isOfPlan ? onDayOf(record, nowMs) : begin(this.id, this.#since ?? dateOf(nowMs), nowMs);
  }

  /** One change of this process at a time; `update` settles conflicts with other processes only. */
  inTurn<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#turn.then(work, work);
    this.#turn = mine.catch(() => {});
    return mine;
  }

  /**
   * Applies `step` to the newest record and stores it, within `inTurn`. False when that could not be done; without a record
   * from `step` there is nothing to do. Throws what `update` throws.
   */
  async change(nowMs: number, step: (record: WarmingRecord) => WarmingRecord | undefined): Promise<boolean> {
    for (let attempt = 0; attempt < updateTriesMax; attempt++) {
      const next = step(this.today(nowMs));
      if (next === undefined) return true;
      const revision = this.#revision;
      const stored = await this.#update(this.id, next, revision);
      if (stored !== undefined) {
        if (stored > this.#revision) [this.record, this.#revision] = [next, stored];
        return true;
      }
      if (this.#revision === revision) await this.#newsOf();
    }
    return false;
  }

  /** What the store holds, from its watch. */
  restore(record: WarmingRecord | undefined, revision: number): void {
    if (revision <= this.#revision) return;
    this.record = record;
    this.#revision = revision;
    for (const tell of this.#news.splice(0)) tell();
  }

  #newsOf(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, newsMsMax);
      this.#news.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }
}
