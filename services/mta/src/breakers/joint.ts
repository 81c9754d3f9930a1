import { type BreakerRecord, heardMax } from "@tyto/contracts";
import type { Report } from "../feedback.ts";
import { type Breaker, close, forget, isOpen, judge, judgeAll, newBreaker, type Opening } from "./breaker.ts";
import { limits } from "./limits.ts";
import { type Block, empty, type Fate, newWindow, tally } from "./window.ts";

/** What this process counted and has not stored. */
type Pending = {
  counts: Block;
  reports: Map<string, Report["kind"]>;
  /** The counts began anew: what was stored before is not to be added to. */
  isAnew: boolean;
  /** Who waits until it is stored. */
  told: ((isStored: boolean) => void)[];
};

/**
 * The breaker of one organisation or campaign, which all processes count for. `breaker` is what is stored, as far as it is known
 * here, with what this process counted since: each sees its own trouble at once and that of the others when they store it.
 */
export class JointBreaker {
  readonly scope: BreakerRecord["scope"];
  readonly id: string;
  readonly organizationId: BreakerRecord["organizationId"];
  readonly breaker: Breaker = newBreaker();
  /** Of the record that `breaker` stands on; 0 where there is none. */
  revision = 0;
  #heard: string[] = [];
  #pending: Pending = newPending();
  /** What is being stored, and what came from others meanwhile. */
  #underWay: Pending | undefined;
  #news: { record: BreakerRecord; revision: number } | undefined;

  constructor({ scope, id, organizationId }: Pick<BreakerRecord, "scope" | "id" | "organizationId">) {
    this.scope = scope;
    this.id = id;
    this.organizationId = organizationId;
  }

  /** Counts one message. Tells when that opens the breaker. */
  count(fate: Fate, nowMs: number): Opening | undefined {
    if (isOpen(this.breaker, nowMs)) return undefined;
    tally(this.#pending.counts, fate);
    return this.#opened(judge(this.breaker, fate, nowMs));
  }

  /** Counts a report, unless it was heard before. */
  hear({ id, kind }: Pick<Report, "id" | "kind">, nowMs: number): Opening | undefined {
    if (this.#heard.includes(id) || isOpen(this.breaker, nowMs)) return undefined;
    this.#remember(id);
    this.#pending.reports.set(id, kind);
    return this.#opened(judge(this.breaker, kind, nowMs));
  }

  /** The counts begin anew, for all processes. */
  forget(): void {
    forget(this.breaker);
    this.#beginAnew();
  }

  /** A person lifted the hold. */
  close(): void {
    close(this.breaker);
    this.#beginAnew();
  }

  /** Resolves when all that was counted until now is stored: true, or false when it could not be. */
  whenStored(): Promise<boolean> {
    if (this.isStored && this.#underWay === undefined) return Promise.resolve(true);
    return new Promise((resolve) => this.#pending.told.push(resolve));
  }

  get isStored(): boolean {
    const { counts, reports, isAnew, told } = this.#pending;
    return counts.sent === 0 && counts.complained === 0 && reports.size === 0 && !isAnew && told.length === 0;
  }

  /** The record to store now; `stored` or `notStored` has to follow. */
  begin(nowMs: number): BreakerRecord {
    this.#underWay = this.#pending;
    this.#pending = newPending();
    const { opened, openedAtMs, untilMs, isOnTrial, windows } = this.breaker;
    return {
      scope: this.scope,
      id: this.id,
      organizationId: this.organizationId,
      windows: windows.map(({ sentMax, blocks }) => ({
        sentMax,
        blocks: blocks.map((block) => ({ ...block })),
      })),
      opened,
      openedAtMs,
      untilMs: isOnTrial ? untilMs : 0,
      ...(this.#heard.length === 0 ? {} : { heard: this.#heard }),
      savedAtMs: nowMs,
    };
  }

  stored(revision: number, nowMs: number): void {
    for (const tell of this.#underWay?.told ?? []) tell(true);
    this.#underWay = undefined;
    this.revision = Math.max(this.revision, revision);
    const news = this.#news;
    this.#news = undefined;
    if (news !== undefined) this.restore(news.record, news.revision, nowMs);
  }

  /** Another process was first, or it is not known whether it was stored: it counts as not stored. */
  notStored(): void {
    const before = this.#underWay;
    this.#underWay = undefined;
    this.#news = undefined;
    if (before === undefined) return;
    this.#pending.told.unshift(...before.told);
    // What was counted before the counts began anew is over.
    if (this.#pending.isAnew) return;
    const { counts, reports } = this.#pending;
    this.#pending = {
      ...this.#pending,
      counts: sumOf(before.counts, counts),
      reports: new Map([...before.reports, ...reports]),
      isAnew: before.isAnew,
    };
  }

  /** Nobody waits any longer for what cannot be stored now. */
  giveUp(): void {
    for (const tell of this.#pending.told.splice(0)) tell(false);
  }

  /**
   * What another process stored, or an earlier one. Who has counted meanwhile finds it when that is stored, in the order in which
   * breakers are judged.
   */
  restore(record: BreakerRecord, revision: number, nowMs: number): void {
    if (revision <= this.revision) return;
    if (this.#underWay !== undefined) this.#news = { record, revision };
    else if (this.isStored) this.merge(record, revision, nowMs);
  }

  /** Takes the record for what is stored, and adds what is counted here. Tells when that opens the breaker. */
  merge(record: BreakerRecord | undefined, revision: number, nowMs: number): Opening | undefined {
    this.revision = revision;
    const heard = record?.heard ?? [];
    if (this.#pending.isAnew && !((record?.untilMs ?? 0) > nowMs)) {
      this.#heard = [...heard.filter((id) => !this.#heard.includes(id)), ...this.#heard].slice(-heardMax);
      return undefined;
    }
    this.#load(record);
    this.#heard = [...heard];
    // It opened elsewhere: what was under way here belongs to what led to it.
    if (isOpen(this.breaker, nowMs)) {
      this.#pending = { ...newPending(), told: this.#pending.told };
      return undefined;
    }
    for (const id of heard) this.#pending.reports.delete(id);
    const counts = { ...this.#pending.counts };
    for (const [id, kind] of this.#pending.reports) {
      this.#remember(id);
      tally(counts, kind);
    }
    return this.#opened(judgeAll(this.breaker, counts, nowMs));
  }

  #load(record: BreakerRecord | undefined): void {
    const { windows = [], opened = 0, openedAtMs = 0, untilMs = 0 } = record ?? {};
    // Windows of other sizes are those of another version.
    const isOurs = limits.every(({ sentMax }, index) => windows[index]?.sentMax === sentMax);
    if (isOurs) this.breaker.windows = windows.map(({ sentMax, blocks }) => newWindow(sentMax, blocks));
    else forget(this.breaker);
    Object.assign(this.breaker, { opened, openedAtMs, untilMs, isOnTrial: untilMs > 0 });
  }

  #opened(opening: Opening | undefined): Opening | undefined {
    if (opening !== undefined) this.#beginAnew();
    return opening;
  }

  #beginAnew(): void {
    this.#pending = { ...newPending(), isAnew: true, told: this.#pending.told };
  }

  #remember(id: string): void {
    this.#heard.push(id);
    if (this.#heard.length > heardMax) this.#heard.shift();
  }
}

const newPending = (): Pending => ({ counts: empty(), reports: new Map(), isAnew: false, told: [] });

const sumOf = (one: Block, other: Block): Block => ({
  sent: one.sent + other.sent,
  bounced: one.bounced + other.bounced,
  complained: one.complained + other.complained,
});
