import { connectBus } from "@tyto/bus";
import { Counter, Gauge, Histogram, type Log, type Running, serveHealth } from "@tyto/service";
import { ConvexClient } from "convex/browser";
import type { Config } from "./config.ts";
import { createPost } from "./post.ts";
import { record } from "./record.ts";
import { follow } from "./sync.ts";
import { serviceToken } from "./token.ts";

const batchMax = 200;
const batchWaitMs = 100;

/** Wires the stream to Convex and Convex's change log to the buckets. Throws when NATS cannot be reached. */
export async function start(config: Config, log: Log): Promise<Running> {
  const health = serveHealth("recorder", config.health.host, config.health.port);
  const bus = await connectBus({ ...config.nats, name: "recorder", log, registry: health.registry });
  const stopping = new AbortController();
  const wait = (ms: number) =>
    new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      stopping.signal.addEventListener("abort", () => {
        clearTimeout(timer);
        resolve();
      });
    });

  const registers = [health.registry];
  const recorded = new Counter({
    name: "tyto_recorder_events_total",
    help: "Events by outcome",
    labelNames: ["outcome"],
    registers,
  });
  const batches = new Histogram({
    name: "tyto_recorder_batch_events",
    help: "Events in one request",
    buckets: [1, 5, 20, 50, 100, 200],
    registers,
  });
  const lag = new Gauge({
    name: "tyto_recorder_lag_seconds",
    help: "Age of the oldest event of the last batch when it came",
    registers,
  });
  const away = new Gauge({
    name: "tyto_recorder_convex_down",
    help: "1 while Convex does not take events",
    registers,
  });

  const client = new ConvexClient(config.convexUrl, {
    skipConvexDeploymentUrlCheck: true,
    unsavedChangesWarning: false,
    logger: false,
  });
  client.setAuth(() => serviceToken(config.jwtKey, Date.now()));
  const following = await follow({ bucket: bus.bucket, client, wait, log });

  let problem: string | undefined;
  const toConvex = record({
    post: createPost(config.convexSiteUrl, config.webhookSecret, Date.now),
    getRaw: bus.raw.get,
    dropRaw: bus.raw.drop,
    wait,
    isStopping: () => stopping.signal.aborted,
    heard(answer) {
      problem = answer.kind === "down" ? answer.why : undefined;
      away.set(answer.kind === "down" ? 1 : 0);
    },
    log,
  });
  const recording = await bus.consumeBatches("recorder", { batchMax, waitMs: batchWaitMs }, async (batch) => {
    batches.observe(batch.length);
    const oldest = batch[0]?.arrival.storedAtMs;
    if (oldest !== undefined) lag.set(Math.max(0, (Date.now() - oldest) / 1_000));
    const verdicts = await toConvex(batch.map(({ event }) => event));
    for (const { kind } of verdicts) recorded.inc({ outcome: kind });
    return verdicts;
  });

  health.addCheck("nats", () => (bus.isConnected() ? undefined : "disconnected"));
  health.addCheck("convex", () => problem);
  health.addCheck("sync", () =>
    following.behind() === undefined ? "Convex's change log was not read yet" : undefined,
  );

  return {
    async stop() {
      stopping.abort();
      await following.stop();
      await recording.stop();
      await client.close();
      await bus.drain();
      await health.stop();
    },
  };
}
