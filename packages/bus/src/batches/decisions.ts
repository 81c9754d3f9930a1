import { Failure } from "@tyto/contracts";
import { type Bus, done, reject, retry, type Verdict } from "../bus.ts";
import { toArrival } from "../earlier.ts";
import { isDown, waitMs } from "../judging.ts";
import type { BusLog } from "../log.ts";
import type { Metrics } from "../metrics.ts";
import type { Entry, Settling } from "./settling.ts";
import type { Waiting } from "./waiting.ts";

export type BatchHandler = Parameters<Bus["consumeBatches"]>[2];

export type DecisionParts = {
  durable: string;
  handler: BatchHandler;
  throwWaitMsMax: number;
  log: BusLog;
  metrics: Metrics;
  settling: Settling;
  waiting: Waiting;
  ending: AbortSignal;
  /** Called when room became free. */
  refill(): void;
};

/** A batch whose handler threw this often is halved, to find the event that it is about; a single one is dead then. */
const throwsMax = 5;

/** What becomes of batches, one after the other. */
export class Decisions {
  readonly #parts: DecisionParts;

  constructor(parts: DecisionParts) {
    this.#parts = parts;
  }

  /** Settles a batch. What is to be tried again is waited for here, in hand: the order stays. */
  async decide(batch: readonly Entry[]): Promise<void> {
    const { ending, settling, refill } = this.#parts;
    let rest = batch;
    let throws = 0;
    for (let round = 0; rest.length > 0; round++) {
      if (ending.aborted) return settling.giveBack(rest);
      const startedAtMs = Date.now();
      const judged = rest;
      let verdicts: readonly Verdict[];
      try {
        verdicts = await this.#judge(judged, round);
      } catch (error) {
        if (!isDown(error)) throws++;
        this.#tellThrow(error, throws, judged.length, startedAtMs);
        if (throws >= throwsMax && judged.length > 1) return this.#decideHalves(judged);
        const verdict = this.#afterThrow(error, throws, round);
        verdicts = judged.map(() => verdict);
      }
      await this.#settle(judged, verdicts, startedAtMs);
      refill();
      rest = judged.filter((_, index) => verdicts[index]?.kind === "retry");
      await this.#pause(verdicts);
    }
  }

  async #decideHalves(batch: readonly Entry[]): Promise<void> {
    const half = batch.length >> 1;
    await this.decide(batch.slice(0, half));
    return this.decide(batch.slice(half));
  }

  /** The handler's word on each, in their order. */
  async #judge(batch: readonly Entry[], round: number): Promise<readonly Verdict[]> {
    const answer = await this.#parts.handler(
      batch.map(({ delivery, event }) => ({
        event,
        arrival: { ...toArrival(delivery), times: delivery.times + round },
      })),
    );
    const verdicts = "kind" in answer ? batch.map(() => answer) : answer;
    if (verdicts.length !== batch.length)
      throw new Failure("internal", `${verdicts.length} verdicts for ${batch.length} events`);
    return verdicts;
  }

  #tellThrow(error: unknown, throws: number, batch: number, startedAtMs: number): void {
    const { durable, log, metrics } = this.#parts;
    log.error("bus.handler-threw", { durable, throws, batch, error });
    metrics.verdict(durable, "threw", Date.now() - startedAtMs);
  }

  #afterThrow(error: unknown, throws: number, round: number): Verdict {
    const problem = error instanceof Error ? error.message : String(error);
    return throws < throwsMax
      ? retry(waitMs(round + 1, this.#parts.throwWaitMsMax), problem)
      : reject(`the handler threw ${throws} times: ${problem}`);
  }

  /** What is done or refused is over; what is to be tried again stays in hand. */
  async #settle(batch: readonly Entry[], verdicts: readonly Verdict[], startedAtMs: number): Promise<void> {
    const { durable, metrics, settling } = this.#parts;
    const settled = batch.map(async ({ delivery, message }, index) => {
      const verdict = verdicts[index] ?? done;
      if (verdict.kind === "reject") return settling.refuse(delivery, message, verdict);
      if (verdict.kind === "done") settling.settle(delivery, message, verdict);
      return metrics.verdict(durable, verdict.kind, Date.now() - startedAtMs);
    });
    await Promise.all(settled);
  }

  /** For as long as the one that wants to wait longest; not at all when there is none. */
  async #pause(verdicts: readonly Verdict[]): Promise<void> {
    const { durable, log, waiting } = this.#parts;
    const waits = verdicts.flatMap((verdict) => (verdict.kind === "retry" ? verdict : []));
    if (waits.length === 0) return;
    log.warn("bus.batch-waits", { durable, batch: waits.length, reason: waits[0]?.reason });
    await waiting.pause(Math.max(...waits.map(({ afterMs }) => afterMs)));
  }
}
