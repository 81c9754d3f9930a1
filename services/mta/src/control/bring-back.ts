import { setTimeout as waitMs } from "node:timers/promises";
import type { ControlAnswer, ControlRequest, Hold, QueueEntry } from "@tyto/contracts";
import type { Log } from "@tyto/service";
import { type Holds, isHeldBy } from "../holds/holds.ts";
import type { ActLimits } from "./act.ts";

export type BringBackPorts = {
  /** Changes the queue: act.ts. */
  act(request: ControlRequest<"mta.act">, limits: ActLimits): Promise<ControlAnswer<"mta.act">>;
  /** What other holds keep stays where it is; holds.leave. */
  leave: Holds["leave"];
  /** Nothing goes to the site but a message that asks whether its trouble is over. */
  isLeftAlone(site: string): boolean;
  now: () => number;
  log: Pick<Log, "info" | "warn">;
  /** The queue is looked through again after this time; 2 s without it. */
  againMs?: number;
  /** An act takes this long at least; 1 s without it. */
  paceMs?: number;
};

/** What ended: a hold, or what an operator or a rule did with a site's mail, as if it had been a hold of that site. */
export type Ended = Pick<Hold, "key" | "scope" | "id" | "site">;

/**
 * What was in hand when its hold ended, or in the hands of a process that did not know yet, is put back a moment later: the
 * second look finds it.
 */
const againMsUsual = 2_000;
/** Entries that one look brings back; further ones come by themselves, within 15 min. */
const entriesMax = 100_000;
/** Also what is put back in a second: further mail is not to stand behind a hundred thousand. */
const entriesPerActMax = 5_000;
const paceMsUsual = 1_000;
/** Of a site that is left alone so many come back, one of which asks it; the others when it takes mail. */
const askersMax = 5;
/** So long it is waited for that the site takes mail; then what waits comes by itself. */
const askedMsMax = 60_000;
/** Holds whose mail is being brought back; the mail of further ones comes by itself. */
const releasedMax = 2_000;

/** `nextMs`: when the queue is looked through for it next. */
type Released = { ended: Ended; atMs: number; nextMs: number; isAsked: boolean; isSeen: boolean };

/** Brings back what was put off because of holds, limits and pauses that ended before their time, without waiting for it. */
export class BringBack {
  readonly #ports: BringBackPorts;
  readonly #againMs: number;
  readonly #released = new Set<Released>();
  readonly #stopping = new AbortController();
  #work: Promise<void> | undefined;
  #wake = () => {};

  constructor(ports: BringBackPorts) {
    this.#ports = ports;
    this.#againMs = ports.againMs ?? againMsUsual;
  }

  /** To be called by the one process that ended it. */
  release(ended: Ended): void {
    if (this.#released.size >= releasedMax || this.#stopping.signal.aborted) return;
    const atMs = this.#ports.now();
    this.#released.add({ ended, atMs, nextMs: atMs, isAsked: false, isSeen: false });
    this.#wake();
    this.#work ??= this.#run().finally(() => {
      this.#work = undefined;
    });
  }

  /** What is not brought back by then comes by itself. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#wake();
    await this.#work;
  }

  async #run(): Promise<void> {
    while (this.#released.size > 0 && !this.#stopping.signal.aborted) {
      const nowMs = this.#ports.now();
      const due = [...this.#released].filter(({ nextMs }) => nowMs >= nextMs);
      const { asking = [], free = [] } = Object.groupBy(due, (one) =>
        this.#isShut(one) ? "asking" : "free",
      );
      for (const one of asking) await this.#ask(one);
      if (free.length > 0) await this.#bring(free);
      if (due.length === 0) await this.#pause();
    }
  }

  /** Until somebody releases something, or the first of those that are looked for again is due. */
  #pause(): Promise<void> {
    const firstMs = Math.min(...Array.from(this.#released, ({ nextMs }) => nextMs));
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, Math.max(1, firstMs - this.#ports.now()));
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** Is its site left alone? All of its mail would only come to be put off again. */
  #isShut = ({ ended: { scope, id } }: Released): boolean => scope === "site" && this.#ports.isLeftAlone(id);

  /** Has a message find out, and looks again until one has. Also one that a server deferred: there may be no other. */
  async #ask(one: Released): Promise<void> {
    if (!one.isAsked) await this.#tell([one], () => this.#requeue([one], askersMax, () => true));
    one.isAsked = true;
    one.nextMs = this.#ports.now() + this.#againMs;
    if (one.nextMs > one.atMs + askedMsMax) this.#released.delete(one);
  }

  async #bring(due: readonly Released[]): Promise<void> {
    const againAtMs = this.#ports.now() + this.#againMs;
    await this.#tell(due, () => this.#requeue(due, entriesMax, isPutOff));
    for (const one of due)
      if (one.isSeen) this.#released.delete(one);
      else Object.assign(one, { isSeen: true, nextMs: againAtMs });
  }

  async #tell(due: readonly Released[], requeue: () => Promise<number>): Promise<void> {
    const { log } = this.#ports;
    const ended = due.map((one) => one.ended.key);
    try {
      const entries = await requeue();
      log.info("mta.held-mail-back", { ended, entries });
    } catch (error) {
      log.warn("mta.held-mail-not-back", {
        ...{ ended, error },
        hint: "it comes by itself within 15 min, at once with tyto queue requeue",
      });
    }
  }

  async #requeue(
    due: readonly Released[],
    max: number,
    isMeant: (entry: QueueEntry) => boolean,
  ): Promise<number> {
    const { act, leave, paceMs = paceMsUsual } = this.#ports;
    const limits: ActLimits = {
      only: (entry, site) =>
        isMeant(entry) &&
        due.some(({ ended }) => isHeldBy(ended, entry, site)) &&
        leave(entry, site).kind === "go",
      signal: this.#stopping.signal,
    };
    const [{ ended: { key = "" } = {} } = {}] = due;
    const request: ControlRequest<"mta.act"> = {
      ...{ action: "requeue" as const, filter: {}, isDryRun: false },
      ...{ entriesMax: Math.min(max, entriesPerActMax) },
      ...{ by: "mta", why: `released: ${key}${due.length === 1 ? "" : " and others"}` },
    };
    let touched = 0;
    let after: number | undefined = 0;
    while (after !== undefined && touched < max && !this.#stopping.signal.aborted) {
      const begunMs = performance.now();
      const acted: ControlAnswer<"mta.act"> = await act({ ...request, after }, limits);
      touched += acted.touched;
      after = acted.next;
      if (after !== undefined && touched < max && acted.touched > 0)
        await this.#rest(paceMs - (performance.now() - begunMs));
    }
    return touched;
  }

  /** Ends early when the service stops. */
  async #rest(forMs: number): Promise<void> {
    if (forMs <= 0) return;
    await waitMs(forMs, undefined, { signal: this.#stopping.signal }).catch(() => undefined);
  }
}

/** Put off before it was tried; what a server deferred waits for its time, whatever is held. */
const isPutOff = ({ looks = 0 }: QueueEntry) => looks > 0;
