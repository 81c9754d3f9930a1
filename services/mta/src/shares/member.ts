/**
 * One mta process among others that share the limits of sites: who is there, what each may use, and what to write so
 * that the others know. Nothing here does I/O or looks at a clock: time comes in, what is to be written goes out.
 *
 * The rules that keep the sum below every limit:
 * - The claims of all on one key stand in one record, which is changed only if it is still what was read (compare and
 *   set). A claim grows only into room that nobody holds (`revision.ts`, `claim.ts`).
 * - A process uses at most its claim. It uses less first and gives back afterwards (`key.ts`).
 * - A process that is alone claims nothing and uses everything. Who joins waits until all who live have told that they
 *   reckon with it, and they tell that when what they use stands in records (`ledger.ts`).
 * - A process lives until `lapseMs` after it sent the last beat of its own that came back to it through the bus
 *   (`beats.ts`). Others free its claims when they have not heard of it for `takeMs`, counted from when they heard a beat,
 *   which is later than when it was sent (`peers.ts`). So no clock is ever compared with another one.
 * - Who has lapsed has lost all it held, and begins again as somebody else.
 */
import type { PeerRecord, ShareRecord } from "@tyto/contracts";
import { Beats } from "./beats.ts";
import type { Limit } from "./claim.ts";
import { nothing } from "./key.ts";
import { Ledger, type LedgerPorts } from "./ledger.ts";
import { lapseMs, type Mode, modeAmong, type Standing, takeMs } from "./mode.ts";
import { Peers } from "./peers.ts";
import type { Write, Written } from "./write.ts";

/** More than this no process opens; it stands for "not limited". */
const connectionsMost = 100_000;

export type MemberOptions = LedgerPorts & {
  /** A name that no other living process has; a new life under it ends the one before. */
  name: string;
  /** An id for a life that nobody had before. */
  newId: () => string;
  /** Something that the operator should read. */
  onTrouble: (what: "lapsed" | "name-taken") => void;
};

export const createMember = (options: MemberOptions): Member => new Member(options);

export class Member {
  readonly #options: MemberOptions;
  readonly #standing: Standing;
  readonly #beats: Beats;
  readonly #peers = new Peers();
  readonly #ledger: Ledger;
  #lapsedMs = 0;

  constructor(options: MemberOptions) {
    const id = options.newId();
    this.#options = options;
    this.#standing = {
      mode: "joining",
      id,
      isLive: (one) => one === this.#standing.id || this.#peers.isLive(one),
    };
    this.#beats = new Beats(options.name, id);
    this.#ledger = new Ledger(this.#standing, options);
  }

  /** A beat of some process came through the bus; `undefined` when its name was removed. */
  seeBeat(name: string, value: PeerRecord | undefined, revision: number, nowMs: number): void {
    if (name === this.#beats.name) {
      const isTaken = this.#beats.hear(value, revision, nowMs) === "taken";
      if (isTaken) this.#rename(nowMs);
      else this.#settle(nowMs);
      return;
    }
    const seen = this.#peers.see(name, value, revision, nowMs);
    if (seen === "old") return;
    if (seen === "changed") this.#ledger.membersChanged();
    this.#settle(nowMs);
  }

  /** A record came through the bus. */
  seeRecord(key: string, record: ShareRecord | undefined, revision: number): void {
    this.#ledger.learn(key, record, revision);
  }

  /** What is to be written now. Each has to be answered by `written`. */
  writes(nowMs: number, wallMs: number): Write[] {
    this.#settle(nowMs);
    this.#ledger.wake(nowMs);
    const removals = this.#ledger.sweep(nowMs);
    const beat = this.#beatNow(nowMs);
    const mayClaim = this.#standing.mode === "shared" && this.#beats.isConfirmed(nowMs);
    const claims = mayClaim ? this.#ledger.claims(nowMs, wallMs) : [];
    return beat === undefined ? [...removals, ...claims] : [...removals, beat, ...claims];
  }

  #beatNow(nowMs: number): Write | undefined {
    const { mode } = this.#standing;
    if (mode === "lapsed" || mode === "left") return undefined;
    return this.#beats.next(mode === "alone" || this.#ledger.owes ? [] : this.#peers.ids(), nowMs);
  }

  /** What became of a write. */
  written(write: Write, result: Written, nowMs: number): void {
    if (write.kind === "beat") this.#beats.written(write, result, nowMs);
    else this.#ledger.written(write, result);
  }

  /** What this process may use of `key` at this moment. */
  shareOf(key: string, wish: Limit, nowMs: number): Limit {
    // Whole connections; limits that are learned need not be.
    const limit = {
      connectionsMax: Math.min(connectionsMost, Math.max(0, Math.floor(wish.connectionsMax))),
      perMinute: Math.max(0, wish.perMinute),
    };
    const share = this.#ledger.ask(key, limit, nowMs);
    return this.#beats.isConfirmed(nowMs) ? share : nothing;
  }

  /** How many messages for `key` wait here or are on their way. */
  demand(key: string, wanted: number): void {
    this.#ledger.want(key, wanted);
  }

  /** No connection is open, nor being opened or closed. */
  isIdle(): boolean {
    return this.#ledger.isIdle();
  }

  /** Leaves for good: the others need not wait for the silence, unless something is still open. */
  leave(): Write | undefined {
    const farewell = this.#ledger.isIdle() ? this.#beats.farewell() : undefined;
    this.#setMode("left");
    return farewell;
  }

  /** Looks at the clock: does this process still live, is another one gone, may it begin? */
  #settle(nowMs: number): void {
    if (this.#standing.mode === "left") return;
    if (this.#beats.hasLapsed(nowMs)) this.#lapse(nowMs);
    else if (this.#standing.mode === "lapsed") this.#rejoin(nowMs);
    const { confirmedMs } = this.#beats;
    if (confirmedMs === undefined) return;
    if (this.#peers.forgetSilent(confirmedMs)) this.#ledger.membersChanged();
    this.#enter(
      modeAmong(this.#standing.mode, {
        size: this.#peers.size,
        isExpected: this.#peers.expect(this.#standing.id),
      }),
    );
  }

  #enter(next: Mode): void {
    if (next === "alone") this.#ledger.endOwing();
    else if (this.#standing.mode === "alone") this.#ledger.beginOwing();
    this.#setMode(next);
    this.#ledger.endOwingWhenPaid();
  }

  #setMode(next: Mode): void {
    if (this.#standing.mode === next) return;
    this.#standing.mode = next;
    this.#ledger.recount();
  }

  /** When what began before the lapse has ended, or had the time for it. */
  #rejoin(nowMs: number): void {
    if (nowMs < this.#lapsedMs + takeMs - lapseMs && !this.#ledger.isIdle()) return;
    this.#beats.hurry(nowMs);
    this.#setMode("joining");
  }

  #lapse(nowMs: number): void {
    this.#beginAnew(nowMs, this.#beats.name);
    this.#options.onTrouble("lapsed");
  }

  /** Somebody younger lives under our name. */
  #rename(nowMs: number): void {
    this.#beginAnew(nowMs, `${this.#options.name}~${this.#options.newId()}`);
    this.#options.onTrouble("name-taken");
  }

  /** Another life, which holds nothing. */
  #beginAnew(nowMs: number, name: string): void {
    this.#lapsedMs = nowMs;
    this.#standing.id = this.#options.newId();
    this.#beats.beginAnew(name, this.#standing.id);
    this.#peers.clear();
    this.#ledger.forgetRecords();
    this.#setMode("lapsed");
  }

  mode(): Mode {
    return this.#standing.mode;
  }
  status(nowMs: number) {
    const { confirmedMs } = this.#beats;
    return {
      mode: this.#standing.mode,
      name: this.#beats.name,
      id: this.#standing.id,
      silentMs: confirmedMs === undefined ? undefined : nowMs - confirmedMs,
      peers: this.#peers.status(nowMs),
      keys: this.#ledger.size,
    };
  }
  /** What is known of one key, for people. */
  statusOf(name: string) {
    const key = this.#ledger.key(name);
    if (key === undefined) return undefined;
    return {
      ...key.share,
      limit: key.limit,
      wanted: key.wanted,
      claims: this.#ledger.recordOf(name).claims,
    };
  }
}
