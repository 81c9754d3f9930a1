/** The way of events into Convex: a batch is one signed request. */
import type { Verdict } from "@tyto/bus";
import type { StoredEvent } from "@tyto/contracts";
import { type Log, noTracer, type Span, type Tracer } from "@tyto/service";
import type { Metrics } from "./metrics.ts";
import type { Answer, Post } from "./post.ts";
import { createSettler, type Entry } from "./settle.ts";

export type Ports = {
  post: Post;
  metrics: Metrics;
  tracer?: Tracer;
  log: Log;
  now(): number;
  /** 0 ≤ value < 1, so that several recorders do not come back in step. */
  random(): number;
};

export type Recorder = {
  record(batch: readonly Entry[]): Promise<readonly Verdict[]>;
  /** Why events do not reach Convex at the moment. */
  problem(): string | undefined;
};

export function createRecorder({ post, metrics, tracer = noTracer, log, now, random }: Ports): Recorder {
  async function send(batch: readonly Entry[]): Promise<Answer> {
    const startedAtMs = now();
    const answer = await post("/events", bodyOf(batch), { "content-type": "application/json" });
    if (answer.kind === "ok") metrics.applied(countsIn(answer.body), now() - startedAtMs);
    return answer;
  }
  const { settle, problem } = createSettler<StoredEvent>({ send, metrics, log, now, random });

  return {
    problem,
    async record(batch) {
      const oldest = batch[0]?.arrival;
      const isInHand = oldest === undefined ? () => {} : metrics.took(oldest.storedAtMs, batch.length);
      const spans = tracer.isOn ? batch.flatMap((entry) => spanOf(tracer, entry)) : [];
      try {
        return await settle(batch);
      } finally {
        for (const span of spans) span.end({ "tyto.batch": batch.length });
        isInHand();
      }
    },
  };
}

/** Events that say which trace they belong to. */
function spanOf(tracer: Tracer, { event: { subject, payload } }: Entry): Span[] {
  if (!("traceparent" in payload) || payload.traceparent === undefined) return [];
  const attributes = { "tyto.event": subject, "tyto.message": payload.messageId };
  return [tracer.begin("record", { parent: payload.traceparent, kind: "consumer", attributes })];
}

const bodyOf = (batch: readonly Entry[]) =>
  new TextEncoder().encode(
    JSON.stringify({ events: batch.map(({ event: { subject, payload } }) => ({ subject, payload })) }),
  );

function countsIn(body: unknown): { applied: number; repeated: number } {
  const { applied, repeated } = (body ?? {}) as { applied?: unknown; repeated?: unknown };
  return { applied: Number(applied ?? 0), repeated: Number(repeated ?? 0) };
}
