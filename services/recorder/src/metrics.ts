import { Counter, Gauge, Histogram, type Registry } from "@tyto/service";

export type Metrics = {
  /** A batch was taken, whose oldest event was stored at this time; the answer says that it is settled. */
  took(storedAtMs: number, events: number): () => void;
  applied(counts: { applied: number; repeated: number }, ms: number): void;
  failed(kind: "refused" | "failed" | "down"): void;
  rejected(): void;
  /** Raw messages that Convex has as files now. */
  filed(messages: number, bytes: number): void;
  /** A change of Convex's was written to a bucket. */
  synced(bucket: string, changes: number): void;
  snapshot(): void;
};

const seconds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** The recorder's metrics; `now` is milliseconds since 1970, as the times of events. */
export function createMetrics(registry: Registry, now: () => number): Metrics {
  const registers = [registry];
  const inHand = new Set<{ storedAtMs: number }>();
  new Gauge({
    name: "tyto_recorder_lag_seconds",
    help: "Age of the oldest event that is on its way to Convex; 0 when none is",
    registers,
    collect() {
      const oldest = Math.min(...[...inHand].map(({ storedAtMs }) => storedAtMs));
      this.set(inHand.size === 0 ? 0 : Math.max(0, (now() - oldest) / 1_000));
    },
  });
  const batch = new Histogram({
    name: "tyto_recorder_batch_events",
    help: "Events in a batch as the bus handed it over",
    buckets: [1, 2, 5, 10, 20, 50, 100, 200, 500],
    registers,
  });
  const post = new Histogram({
    name: "tyto_recorder_post_seconds",
    help: "Time until Convex had applied a batch",
    buckets: seconds,
    registers,
  });
  const events = new Counter({
    name: "tyto_recorder_events_total",
    help: "Events by what became of them",
    labelNames: ["result"],
    registers,
  });
  const failures = new Counter({
    name: "tyto_recorder_failures_total",
    help: "Requests to Convex that were not answered with 200",
    labelNames: ["kind"],
    registers,
  });
  const files = new Counter({
    name: "tyto_recorder_raw_total",
    help: "Raw messages that Convex took as files",
    registers,
  });
  const fileBytes = new Counter({
    name: "tyto_recorder_raw_bytes_total",
    help: "Bytes of raw messages that Convex took as files",
    registers,
  });
  const changes = new Counter({
    name: "tyto_recorder_changes_total",
    help: "Changes of Convex's written to buckets",
    labelNames: ["bucket"],
    registers,
  });
  const snapshots = new Counter({
    name: "tyto_recorder_snapshots_total",
    help: "Times that all buckets were filled anew",
    registers,
  });
  return {
    took(storedAtMs, size) {
      const entry = { storedAtMs };
      inHand.add(entry);
      batch.observe(size);
      return () => void inHand.delete(entry);
    },
    applied({ applied, repeated }, ms) {
      events.inc({ result: "applied" }, applied);
      events.inc({ result: "repeated" }, repeated);
      post.observe(ms / 1_000);
    },
    failed: (kind) => failures.inc({ kind }),
    filed(messages, bytes) {
      files.inc(messages);
      fileBytes.inc(bytes);
    },
    rejected: () => events.inc({ result: "rejected" }),
    synced: (bucket, count) => changes.inc({ bucket }, count),
    snapshot: () => snapshots.inc(),
  };
}
