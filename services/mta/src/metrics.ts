import { Counter, Gauge, Histogram, type Registry } from "@tyto/service";

export type Metrics = ReturnType<typeof createMetrics>;

/** What the mta counts. `depth` and `connections` are asked for when the numbers are read. */
export function createMetrics(
  registry: Registry,
  depth: () => Promise<{ ready: number; later: number }>,
  connections: () => { open: number; idle: number },
) {
  const registers = [registry];
  const metrics = {
    attempts: new Counter({
      name: "tyto_mta_attempts_total",
      help: "Attempts that ended, by outcome and reason",
      labelNames: ["outcome", "reason"] as const,
      registers,
    }),
    inDoubt: new Counter({
      name: "tyto_mta_in_doubt_total",
      help: "Sessions lost after the final dot: tried again although the message may have arrived",
      registers,
    }),
    repeated: new Counter({
      name: "tyto_mta_entries_repeated_total",
      help: "Queue entries that came back although their attempt was over, and were not sent again",
      registers,
    }),
    tlsSessions: new Counter({
      name: "tyto_mta_tls_sessions_total",
      help: "Sessions opened, or given up because of their encryption, by the policy of the domain and the result (RFC 8460)",
      labelNames: ["policy", "result"] as const,
      registers,
    }),
    duration: new Histogram({
      name: "tyto_mta_attempt_seconds",
      help: "Time from taking an entry to its outcome",
      buckets: [0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300],
      registers,
    }),
  };
  new Gauge({
    name: "tyto_mta_queue_messages",
    help: "Messages of the queue, each of one entry or up to 100: ready to be sent, or waiting for their time",
    labelNames: ["state"] as const,
    registers,
    async collect() {
      const { ready, later } = await depth();
      this.set({ state: "ready" }, ready);
      this.set({ state: "later" }, later);
    },
  });
  new Gauge({
    name: "tyto_mta_connections",
    help: "SMTP connections: all that are open, and those waiting for a message",
    labelNames: ["state"] as const,
    registers,
    collect() {
      const { open, idle } = connections();
      this.set({ state: "open" }, open);
      this.set({ state: "idle" }, idle);
    },
  });
  return metrics;
}
