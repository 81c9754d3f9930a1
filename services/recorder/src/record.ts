/** The way of events into Convex: a batch is one signed request. */
import type { Verdict } from "@tyto/bus";
import type { StoredEvent } from "@tyto/contracts";
import { type Log, noTracer, type Span, type Tracer } from "@tyto/service";
import type { Metrics } from "./metrics.ts";
import type { Answer, Post } from "./post.ts";
import { createSettler, type Entry } from "./settle.ts";

/** Of one request: well below the 16 MiB that Convex takes, and what its engine needs memory for at once. */
const recipientsMax = 5_000;

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
        const verdicts: Verdict[] = [];
        for (const part of requestsOf(batch)) verdicts.push(...(await settle(part)));
        return verdicts;
      } finally {
        for (const span of spans) span.end({ "tyto.batch": batch.length });
        isInHand();
      }
    },
  };
}

/** Cuts a batch, in order, into what one request may hold. */
function* requestsOf(batch: readonly Entry[]): Generator<Entry[]> {
  let part: Entry[] = [];
  let recipients = 0;
  for (const entry of batch) {
    const more = recipientsOf(entry.event);
    if (part.length > 0 && recipients + more > recipientsMax) {
      yield part;
      part = [];
      recipients = 0;
    }
    part.push(entry);
    recipients += more;
  }
  if (part.length > 0) yield part;
}

/** What makes one event larger than another. */
function recipientsOf({ subject, payload }: StoredEvent): number {
  if (subject === "mail.accepted" || subject === "mail.submitted") return payload.recipients.length;
  return subject === "mail.scanned" ? payload.message.recipients.length : 1;
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
