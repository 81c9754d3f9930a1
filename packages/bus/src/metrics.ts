import { Counter, Gauge, Histogram, type Registry } from "prom-client";

/** What the bus counts; without a registry it counts nothing. */
export type Metrics = {
  published(subject: string, ms: number): void;
  consumed(durable: string, isRepeat: boolean): void;
  verdict(durable: string, kind: "done" | "retry" | "reject" | "threw", ms: number): void;
  dead(durable: string): void;
  /** Shows from now on how much waits for this durable. */
  consumes(stream: string, durable: string): void;
};

/** What the server knows of a durable. */
type Backlog = { num_pending: number; num_ack_pending: number };

const seconds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

/** `ask` tells how far a durable is behind, at each scrape. Without a registry nothing is counted. */
export function createMetrics(
  registry: Registry | undefined,
  isConnected: () => boolean,
  ask: (stream: string, durable: string) => Promise<Backlog>,
): Metrics {
  if (registry === undefined)
    return { published() {}, consumed() {}, verdict() {}, dead() {}, consumes() {} };
  const registers = [registry];
  const published = new Histogram({
    name: "tyto_bus_publish_seconds",
    help: "Time until JetStream had stored an event",
    labelNames: ["subject"],
    buckets: seconds,
    registers,
  });
  const consumed = new Counter({
    name: "tyto_bus_consumed_total",
    help: "Messages that arrived; times=again counts redeliveries",
    labelNames: ["durable", "times"],
    registers,
  });
  const handled = new Histogram({
    name: "tyto_bus_handled_seconds",
    help: "Time in the handler, by verdict",
    labelNames: ["durable", "verdict"],
    buckets: seconds,
    registers,
  });
  const dead = new Counter({
    name: "tyto_bus_dead_total",
    help: "Messages put into the stream DEAD",
    labelNames: ["durable"],
    registers,
  });
  new Gauge({
    name: "tyto_bus_connected",
    help: "1 while connected to NATS",
    registers,
    collect() {
      this.set(isConnected() ? 1 : 0);
    },
  });
  const durables = new Map<string, string>();
  new Gauge({
    name: "tyto_bus_waiting",
    help: "Messages, each of one event or entry or up to 100, that a durable has still before it, those in hand included",
    labelNames: ["durable"],
    registers,
    async collect() {
      if (!isConnected()) return;
      const answers = [...durables].map(async ([durable, stream]) => {
        const backlog = await ask(stream, durable).catch(() => undefined);
        // No answer is no number: the last one would look like the present one.
        if (backlog === undefined) this.remove({ durable });
        else this.set({ durable }, backlog.num_pending + backlog.num_ack_pending);
      });
      await Promise.all(answers);
    },
  });
  return {
    consumes: (stream, durable) => void durables.set(durable, stream),
    published: (subject, ms) => published.observe({ subject }, ms / 1_000),
    consumed: (durable, isRepeat) => consumed.inc({ durable, times: isRepeat ? "again" : "first" }),
    verdict: (durable, verdict, ms) => handled.observe({ durable, verdict }, ms / 1_000),
    dead: (durable) => dead.inc({ durable }),
  };
}
