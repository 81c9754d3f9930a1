/**
 * A batch goes to Convex as a whole; what Convex refuses is halved until the one bad event stands alone and goes to the
 * dead letters, and everything else is applied. While Convex is away, events wait in the stream.
 */
import type { Arrival, Verdict } from "@tyto/bus";
import { done, reject, retry } from "@tyto/bus";
import type { StoredEvent } from "@tyto/contracts";
import type { Log } from "@tyto/service";
import type { Metrics } from "./metrics.ts";
import type { Answer } from "./post.ts";

export type Entry<E extends StoredEvent = StoredEvent> = { event: E; arrival: Arrival };

export type Ports<E extends StoredEvent> = {
  /** Takes the whole batch to Convex; never throws for what Convex answers. */
  send(batch: readonly Entry<E>[]): Promise<Answer>;
  metrics: Pick<Metrics, "failed" | "rejected">;
  log: Log;
  now(): number;
  /** 0 ≤ value < 1, so that several recorders do not come back in step. */
  random(): number;
};

/** A batch that Convex failed with so often is halved, to find out whether one event is the cause. */
const failuresBeforeHalving = 3;
/** A single event that Convex failed with so often, while it applied others, is dead. */
const failuresMax = 8;
const waitMsMin = 200;
const waitMsMax = 30_000;

export type Settler<E extends StoredEvent> = {
  /** One verdict per event, in their order. */
  settle(batch: readonly Entry<E>[]): Promise<readonly Verdict[]>;
  /** Why events do not reach Convex at the moment. */
  problem(): string | undefined;
};

export function createSettler<E extends StoredEvent>(ports: Ports<E>): Settler<E> {
  const { metrics, log, now } = ports;
  let problem: string | undefined;
  let appliedAtMs = Number.NEGATIVE_INFINITY;
  /** When Convex first failed with an event that stood alone, by position; at most what is in hand. */
  const failedSinceMs = new Map<number, number>();

  const note = (answer: Answer): Answer => {
    const next = answer.kind === "down" || answer.kind === "failed" ? answer.problem : undefined;
    if (next !== undefined && problem === undefined) log.warn("convex.unreachable", { problem: next });
    if (next === undefined && problem !== undefined) log.info("convex.reachable");
    if (answer.kind !== "ok") metrics.failed(answer.kind);
    problem = next;
    return answer;
  };

  async function judge(batch: readonly Entry<E>[]): Promise<readonly Verdict[]> {
    if (batch.length === 0) return [];
    const answer = note(await ports.send(batch));
    switch (answer.kind) {
      case "ok":
        appliedAtMs = now();
        return batch.map(() => done);
      case "refused":
        return await judgeApart(batch, (entry) => rejected(entry, answer.problem));
      case "failed":
        if (Math.max(...batch.map(({ arrival }) => arrival.times)) < failuresBeforeHalving)
          return batch.map(({ arrival }) => retry(waitMs(arrival.times), answer.problem));
        return await judgeApart(batch, (entry) => judgeFailure(entry, answer.problem));
      case "down":
        return batch.map(({ arrival }) => retry(waitMs(arrival.times), answer.problem));
    }
  }

  /** Each half by itself; the word on an event that stands alone is `verdictOn`'s. */
  async function judgeApart(
    batch: readonly Entry<E>[],
    verdictOn: (entry: Entry<E>) => Verdict,
  ): Promise<readonly Verdict[]> {
    const [only] = batch;
    if (only !== undefined && batch.length === 1) return [verdictOn(only)];
    const half = batch.length >> 1;
    return [...(await judge(batch.slice(0, half))), ...(await judge(batch.slice(half)))];
  }

  /** Convex may fail with anything for a while. Only if it applied others meanwhile is the event to blame. */
  function judgeFailure(entry: Entry<E>, problem: string): Verdict {
    const { sequence, times } = entry.arrival;
    const sinceMs = failedSinceMs.get(sequence) ?? now();
    failedSinceMs.set(sequence, sinceMs);
    if (times >= failuresMax && appliedAtMs > sinceMs) return rejected(entry, problem);
    return retry(waitMs(times), problem);
  }

  function rejected({ event, arrival }: Entry<E>, problem: string): Verdict {
    const { subject, payload } = event;
    log.error("event.rejected", { subject, id: payload.id, sequence: arrival.sequence, problem });
    metrics.rejected();
    return reject(`Convex: ${problem}`);
  }

  const waitMs = (times: number) => {
    const full = Math.min(waitMsMax, waitMsMin * 2 ** Math.min(times, 10));
    return Math.round(full * (0.5 + ports.random() / 2));
  };

  return {
    async settle(batch) {
      const verdicts = await judge(batch);
      for (const [index, verdict] of verdicts.entries()) {
        const entry = batch[index];
        if (entry !== undefined && verdict.kind !== "retry") failedSinceMs.delete(entry.arrival.sequence);
      }
      return verdicts;
    },
    problem: () => problem,
  };
}
