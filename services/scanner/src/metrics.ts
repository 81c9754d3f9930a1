import { Counter, Gauge, Histogram, type Registry } from "@tyto/service";

/** Scans by result and time, and whether clamd answers. */
export function createMetrics(registry: Registry) {
  const registers = [registry];
  const scans = new Counter({
    name: "tyto_scans_total",
    help: "Messages by what became of them; held counts each message once",
    labelNames: ["result"],
    registers,
  });
  const seconds = new Histogram({
    name: "tyto_scan_seconds",
    help: "Time from taking a message to clamd's answer",
    buckets: [0.005, 0.02, 0.1, 0.5, 2, 10, 60],
    registers,
  });
  const up = new Gauge({ name: "tyto_clamd_up", help: "1 while clamd scans", registers });
  return {
    count(result: string, durationMs: number) {
      scans.inc({ result });
      if (result === "clean" || result === "infected") seconds.observe(durationMs / 1_000);
    },
    up: (isUp: boolean) => up.set(isUp ? 1 : 0),
  };
}
