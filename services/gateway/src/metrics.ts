import { Counter, Histogram, type Registry } from "@tyto/service";

export type Metrics = ReturnType<typeof createMetrics>;

/** What the gateway counts. Routes are patterns such as `/v1/emails/{id}`, so the number of series is bounded. */
export function createMetrics(registry: Registry) {
  const registers = [registry];
  return {
    requests: new Counter({
      name: "tyto_gateway_requests_total",
      help: "Answered requests",
      labelNames: ["method", "route", "status"] as const,
      registers,
    }),
    seconds: new Histogram({
      name: "tyto_gateway_request_seconds",
      help: "From the first byte of a request to its answer",
      labelNames: ["method", "route"] as const,
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10],
      registers,
    }),
    messages: new Counter({
      name: "tyto_gateway_messages_total",
      help: "Messages by what became of them: accepted, refused (not in order); suppressed counts recipients",
      labelNames: ["outcome"] as const,
      registers,
    }),
    failures: new Counter({
      name: "tyto_gateway_failures_total",
      help: "Requests that ended in a failure, by its code",
      labelNames: ["code"] as const,
      registers,
    }),
  };
}
