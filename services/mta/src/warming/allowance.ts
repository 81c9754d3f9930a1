import { phrase, type Traffic, type WarmingRecord } from "@tyto/contracts";
import type { Leave } from "../observation.ts";
import { take } from "./course.ts";
import { roomFor } from "./room.ts";
import { capOfDay, dateOf } from "./schedule.ts";
import type { Track } from "./track.ts";

/** Messages taken at once out of a day's cap, so that not each one is a write: this part of the cap, within bounds. */
const blockPart = 0.01;
const blockMax = 50;
/** Taken and not used for so long: given back, another process may need it. */
const idleMsMax = 60_000;
/** Who could not take a message because the store did not answer asks again after this time. */
const againMs = 5_000;
/** After transactional mail that waited for the cap may ask again, it has this time to itself. */
const aheadMs = 900_000;
/** The line of bulk messages that wait is at most so long; who comes then stands between the others. */
const lineMsMax = 86_400_000;

type Block = { date: string; count: number; usedAtMs: number };
/** What was taken out of the cap and is not needed. */
export type Unused = { traffic: Traffic; provider: string; count: number };

/** What this process may still send today from one address: blocks that it took out of the cap, by traffic and provider. */
export class Allowance {
  readonly #track: Track;
  readonly #blocks = new Map<string, Block>();
  /** Transactional mail waits for the cap: bulk mail gets nothing before this time. */
  #transactionalUntilMs = 0;
  /** The end of the line of bulk messages that were told to come back. */
  #lineMs = 0;

  constructor(track: Track) {
    this.#track = track;
  }

  /** Takes one message, or tells from when on it is worth asking again. */
  async leave(provider: string, traffic: Traffic, nowMs: number): Promise<Leave> {
    if (traffic === "bulk" && nowMs < this.#transactionalUntilMs)
      return {
        kind: "wait",
        untilMs: this.#transactionalUntilMs,
        why: phrase("warming.transactional-first", {}),
      };
    const block = this.#blockOf(provider, traffic, nowMs);
    block.usedAtMs = nowMs;
    if (block.count === 0) {
      const known = this.#leaveByRecord(block, provider, traffic, nowMs);
      if (known !== undefined) return known;
      const answer = await this.#track.inTurn(() => this.#fill(provider, traffic, nowMs));
      if (answer.kind === "wait" || this.#track.isWarm) return answer;
    }
    // Between the filling and now others may have used the block up.
    if (block.count === 0)
      return { kind: "wait", untilMs: nowMs + againMs, why: phrase("warming.quick", {}) };
    block.count--;
    return go;
  }

  /** A message that had leave was not sent after all. */
  giveBack(provider: string, traffic: Traffic, nowMs: number): void {
    this.#blockOf(provider, traffic, nowMs).count++;
  }

  /** Is there something to give back to the others? `isLast`: all of it. */
  hasUnused(nowMs: number, isLast: boolean): boolean {
    for (const block of this.#blocks.values()) if (isUnused(block, nowMs, isLast)) return true;
    return false;
  }

  /** Takes that out of the blocks. What is of another day is of no use any more. */
  takeUnused(nowMs: number, isLast: boolean): Unused[] {
    const date = dateOf(nowMs);
    const unused: Unused[] = [];
    for (const [key, block] of this.#blocks) {
      if (!isUnused(block, nowMs, isLast)) continue;
      this.#blocks.delete(key);
      const [traffic = "", provider = ""] = key.split(" ");
      if (block.date === date) unused.push({ traffic: traffic as Traffic, provider, count: block.count });
    }
    return unused;
  }

  /** Nothing is asked of the store while the record says that there is no room. */
  #leaveByRecord(block: Block, provider: string, traffic: Traffic, nowMs: number): Leave | undefined {
    const { record } = this.#track;
    if (record?.date !== block.date) return undefined;
    const room = roomFor(record, provider, traffic, nowMs);
    if (room.kind === "room") return undefined;
    if (traffic === "bulk") return { ...room, untilMs: this.#inLine(record, room.untilMs, nowMs) };
    const ofBulk = this.#blockOf(provider, "bulk", nowMs);
    if (ofBulk.count > 0) {
      ofBulk.count--;
      return go;
    }
    if (room.isFull === true) this.#transactionalUntilMs = room.untilMs + aheadMs;
    return { kind: "wait", untilMs: room.untilMs, why: room.why };
  }

  /** Takes the next block out of the cap. */
  async #fill(provider: string, traffic: Traffic, nowMs: number): Promise<Leave> {
    const block = this.#blockOf(provider, traffic, nowMs);
    if (block.count > 0) return go;
    let taken = 0;
    let wait: Leave | undefined;
    const isStored = await this.#track.change(nowMs, (record) => {
      const room = roomFor(record, provider, traffic, nowMs);
      taken = 0;
      wait = room.kind === "wait" ? room : undefined;
      if (room.kind === "wait" || record.phase === "warm")
        return record === this.#track.record ? undefined : record;
      taken = Math.min(room.count, blockSize(record));
      return take(record, provider, traffic, taken);
    });
    if (!isStored) return { kind: "wait", untilMs: nowMs + againMs, why: phrase("warming.counting", {}) };
    block.count += taken;
    return wait ?? go;
  }

  #blockOf(provider: string, traffic: Traffic, nowMs: number): Block {
    const key = `${traffic} ${provider}`;
    const date = dateOf(nowMs);
    let block = this.#blocks.get(key);
    // What was not sent on its day is of no use on the next.
    if (block === undefined || block.date !== date) {
      block = { date, count: 0, usedAtMs: nowMs };
      this.#blocks.set(key, block);
    }
    return block;
  }

  /**
   * Messages that wait come back one after the other, as quickly as the day's share is released, and not all of a long
   * backlog each time that there is room for a few.
   */
  #inLine({ day }: WarmingRecord, earliestMs: number, nowMs: number): number {
    this.#lineMs = Math.max(this.#lineMs + lineMsMax / capOfDay(day), earliestMs);
    if (this.#lineMs > nowMs + lineMsMax) this.#lineMs = earliestMs;
    return Math.round(this.#lineMs);
  }
}

const go: Leave = { kind: "go" };

const isUnused = ({ count, usedAtMs }: Block, nowMs: number, isLast: boolean) =>
  count > 0 && (isLast || nowMs - usedAtMs > idleMsMax);

const blockSize = ({ day }: WarmingRecord) =>
  Math.min(blockMax, Math.max(1, Math.floor(capOfDay(day) * blockPart)));
