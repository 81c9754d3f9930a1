import type { ControlAnswer, ControlRequest, Hold, QueueEntry } from "@tyto/contracts";
import type { Log } from "@tyto/service";
import { type Holds, isHeldBy } from "../holds/holds.ts";
import type { ActLimits } from "./act.ts";

export type BringBackPorts = {
  /** Changes the queue: act.ts. */
  act(request: ControlRequest<"mta.act">, limits: ActLimits): Promise<ControlAnswer<"mta.act">>;
  /** What other holds keep stays where it is; holds.leave. */
  leave: Holds["leave"];
  now: () => number;
  log: Pick<Log, "info" | "warn">;
  /** The queue is looked through again after this time; 2 s without it. */
  againMs?: number;
};

/**
 * What was in hand when its hold ended, or in the hands of a process that did not know yet, is put back a moment later: the
 * second look finds it.
 */
const againMsUsual = 2_000;
/** Entries that one look brings back; further ones come by themselves, within 15 min. */
const entriesMax = 100_000;
const entriesPerActMax = 10_000;
/** Holds whose mail is being brought back; the mail of further ones comes by itself. */
const releasedMax = 2_000;

type Released = { hold: Hold; atMs: number; isLookedFor: boolean };

/** Brings back what was put off because of holds that ended before their time, without waiting for it. */
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

  /** To be called by the one process that released the hold. */
  release(hold: Hold): void {
    if (this.#released.size >= releasedMax || this.#stopping.signal.aborted) return;
    this.#released.add({ hold, atMs: this.#ports.now(), isLookedFor: false });
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
      const due = [...this.#released].filter((one) => !one.isLookedFor || nowMs >= one.atMs + this.#againMs);
      if (due.length === 0) await this.#pause();
      else await this.#look(due, nowMs);
    }
  }

  /** Until somebody releases something, or the first of those that are looked for again is due. */
  #pause(): Promise<void> {
    const firstMs = Math.min(...Array.from(this.#released, ({ atMs }) => atMs)) + this.#againMs;
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, Math.max(1, firstMs - this.#ports.now()));
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  async #look(due: readonly Released[], startedMs: number): Promise<void> {
    const { log } = this.#ports;
    const holds = due.map(({ hold }) => hold);
    try {
      const entries = await this.#requeue(holds);
      log.info("mta.held-mail-back", { holds: holds.map(({ key }) => key), entries });
    } catch (error) {
      log.warn("mta.held-mail-not-back", {
        ...{ holds: holds.map(({ key }) => key), error },
        hint: "it comes by itself within 15 min, at once with tyto queue requeue",
      });
    }
    for (const one of due)
      if (startedMs >= one.atMs + this.#againMs) this.#released.delete(one);
      else one.isLookedFor = true;
  }

  async #requeue(holds: readonly Hold[]): Promise<number> {
    const { act, leave } = this.#ports;
    const limits: ActLimits = {
      only: (entry, site) =>
        isPutOff(entry) &&
        holds.some((hold) => isHeldBy(hold, entry, site)) &&
        leave(entry, site).kind === "go",
      signal: this.#stopping.signal,
    };
    const [{ key = "" } = {}] = holds;
    const request: ControlRequest<"mta.act"> = {
      ...{ action: "requeue" as const, filter: {}, isDryRun: false, entriesMax: entriesPerActMax },
      ...{ by: "mta", why: `released: ${key}${holds.length === 1 ? "" : " and others"}` },
    };
    let touched = 0;
    let after: number | undefined = 0;
    while (after !== undefined && touched < entriesMax && !this.#stopping.signal.aborted) {
      const acted: ControlAnswer<"mta.act"> = await act({ ...request, after }, limits);
      touched += acted.touched;
      after = acted.next;
    }
    return touched;
  }
}

/** Put off before it was tried; what a server deferred waits for its time, whatever is held. */
const isPutOff = ({ looks = 0 }: QueueEntry) => looks > 0;
