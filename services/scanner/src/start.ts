import { connectBus } from "@tyto/bus";
import { type Log, type Running, serveHealth } from "@tyto/service";
import { createClamd } from "./clamd.ts";
import type { ScannerConfig } from "./config.ts";
import { createMetrics } from "./metrics.ts";
import { createScan } from "./scan.ts";
import { type WatchTimes, watchClamd } from "./watch.ts";

/** A healthy clamd reads and scans far faster; what takes longer is hung. */
const scanMs = (bytes: number) => 15_000 + Math.ceil(bytes / 1_048_576) * 3_000;

/** Wires the scanner: clamd, the watch over it, the bus, health. `times` is for tests. */
export async function start(
  config: ScannerConfig,
  log: Log,
  times?: WatchTimes & { heldMs: number },
): Promise<Running & { healthUrl: string }> {
  const health = serveHealth("scanner", config.health.host, config.health.port);
  const metrics = createMetrics(health.registry);
  const clamd = createClamd(config.clamd.host, config.clamd.port);
  const bus = await connectBus({ ...config.nats, name: "scanner", log, registry: health.registry });
  const watch = await watchClamd(clamd, log, metrics.up, times);
  health.addCheck("nats", () => (bus.isConnected() ? undefined : "disconnected"));
  health.addCheck("clamd", watch.problem);

  const scan = createScan(
    {
      readBody: (message) => bus.bodies.get(message.messageId, message.bodyChunks),
      dropBody: ({ messageId, bodyChunks }) => bus.bodies.drop(messageId, bodyChunks),
      scan: (bytes) => clamd.scan(bytes, scanMs(bytes.length)),
      problem: watch.problem,
      look: watch.look,
      engine: watch.engine,
      publish: bus.publish,
      now: Date.now,
      count: metrics.count,
    },
    times?.heldMs,
  );
  await bus.consume(
    "scanner",
    { "mail.submitted": scan },
    { concurrency: config.concurrency, tellsEarlier: true },
  );
  return {
    healthUrl: health.url,
    async stop() {
      watch.stop();
      await bus.drain();
      await health.stop();
    },
  };
}
