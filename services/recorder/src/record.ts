/**
 * The way of events into Convex. A batch goes as one request; what Convex refuses is halved until the one bad event
 * stands alone and goes to the dead letters, and everything else is applied. While Convex is down events wait in the
 * stream.
 */
import type { Arrival, Verdict } from "@tyto/bus";
import { done, reject, retry } from "@tyto/bus";
import { Failure, type Payload, type StoredEvent } from "@tyto/contracts";
import type { Log } from "@tyto/service";
import type { Metrics } from "./metrics.ts";
import type { Answer, Post } from "./post.ts";

export type Entry = { event: StoredEvent; arrival: Arrival };

export type Ports = {
  post: Post;
  /** The parts of a received message, joined; throws Failure `resource.unknown` when they are gone. */
  getRaw(id: string, parts: number): Promise<Uint8Array>;
  dropRaw(id: string): Promise<void>;
  metrics: Metrics;
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

export type Recorder = {
  record(batch: readonly Entry[]): Promise<readonly Verdict[]>;
  /** Why events do not reach Convex at the moment. */
  problem(): string | undefined;
};

export function createRecorder(ports: Ports): Recorder {
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

  /** One verdict per event, in their order. */
  async function record(batch: readonly Entry[]): Promise<readonly Verdict[]> {
    const oldest = batch[0]?.arrival;
    const isInHand = oldest === undefined ? () => {} : metrics.took(oldest.storedAtMs, batch.length);
    try {
      // The file first: a row that people see should have its message.
      const uploads = await Promise.all(batch.map(({ event, arrival }) => upload(event, arrival)));
      const ready = batch.filter((_, index) => uploads[index] === undefined);
      const settled = new Map<Entry, Verdict>();
      for (const [index, verdict] of (await settle(ready)).entries()) {
        const entry = ready[index];
        if (entry !== undefined) settled.set(entry, verdict);
      }
      return await Promise.all(
        batch.map(async (entry, index) => {
          const verdict = uploads[index] ?? settled.get(entry) ?? done;
          if (verdict.kind !== "retry") failedSinceMs.delete(entry.arrival.sequence);
          if (verdict.kind === "done" && entry.event.subject === "mail.received")
            await forget(entry.event.payload.inboundId);
          return verdict;
        }),
      );
    } finally {
      isInHand();
    }
  }

  async function settle(batch: readonly Entry[]): Promise<readonly Verdict[]> {
    if (batch.length === 0) return [];
    const startedAtMs = now();
    const answer = note(await ports.post("/events", bodyOf(batch), { "content-type": "application/json" }));
    switch (answer.kind) {
      case "ok":
        appliedAtMs = now();
        metrics.applied(countsIn(answer.body), now() - startedAtMs);
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

  /** Each half by itself; the word on an event that stands alone is `judge`'s. */
  async function judgeApart(
    batch: readonly Entry[],
    judge: (entry: Entry) => Verdict,
  ): Promise<readonly Verdict[]> {
    const [only] = batch;
    if (only !== undefined && batch.length === 1) return [judge(only)];
    const half = batch.length >> 1;
    return [...(await settle(batch.slice(0, half))), ...(await settle(batch.slice(half)))];
  }

  /** Convex may fail with anything for a while. Only if it applied others meanwhile is the event to blame. */
  function judgeFailure(entry: Entry, problem: string): Verdict {
    const { sequence, times } = entry.arrival;
    const sinceMs = failedSinceMs.get(sequence) ?? now();
    failedSinceMs.set(sequence, sinceMs);
    if (times >= failuresMax && appliedAtMs > sinceMs) return rejected(entry, problem);
    return retry(waitMs(times), problem);
  }

  function rejected({ event, arrival }: Entry, problem: string): Verdict {
    const { subject, payload } = event;
    log.error("event.rejected", { subject, id: payload.id, sequence: arrival.sequence, problem });
    metrics.rejected();
    return reject(`Convex: ${problem}`);
  }

  /** Puts the raw message of a received mail into Convex; `undefined` when there is nothing (more) to do. */
  async function upload(event: StoredEvent, arrival: Arrival): Promise<Verdict | undefined> {
    if (event.subject !== "mail.received") return undefined;
    const raw = await fetchRaw(event.payload);
    if (raw === undefined) return undefined;
    const headers = { "x-tyto-inbound-id": event.payload.inboundId, "content-type": "message/rfc822" };
    const answer = note(await ports.post("/inbound", raw, headers));
    if (answer.kind === "ok") return undefined;
    if (answer.kind === "refused") return rejected({ event, arrival }, answer.problem);
    return retry(waitMs(arrival.times), answer.problem);
  }

  async function fetchRaw({ inboundId, rawChunks }: Payload<"mail.received">) {
    try {
      return await ports.getRaw(inboundId, rawChunks);
    } catch (error) {
      if (!(error instanceof Failure) || error.code !== "resource.unknown") throw error;
      // It was stored and dropped by a process that ended before it could say so, or it outlived the stream.
      log.warn("raw.gone", { inboundId });
      return undefined;
    }
  }

  /** Not worth another try of the whole: what stays behind leaves the stream by age. */
  async function forget(inboundId: string): Promise<void> {
    await ports.dropRaw(inboundId).catch((error: unknown) => log.warn("raw.kept", { inboundId, error }));
  }

  const waitMs = (times: number) => {
    const full = Math.min(waitMsMax, waitMsMin * 2 ** Math.min(times, 10));
    return Math.round(full * (0.5 + ports.random() / 2));
  };

  return { record, problem: () => problem };
}

const bodyOf = (batch: readonly Entry[]) =>
  new TextEncoder().encode(
    JSON.stringify({ events: batch.map(({ event: { subject, payload } }) => ({ subject, payload })) }),
  );

function countsIn(body: unknown): { applied: number; repeated: number } {
  const { applied, repeated } = (body ?? {}) as { applied?: unknown; repeated?: unknown };
  return { applied: Number(applied ?? 0), repeated: Number(repeated ?? 0) };
}
