import { connectBus } from "@tyto/bus";
import { createTracer, type Log, type Running, serveHealth } from "@tyto/service";
import type { Config } from "./config.ts";
import { openFeed } from "./feed.ts";
import { follow } from "./follow.ts";
import { createMetrics } from "./metrics.ts";
import { createPost, createUpload } from "./post.ts";
import { createRawRecorder } from "./raws.ts";
import { createRecorder } from "./record.ts";
import { createToken } from "./token.ts";

/** What is about one message is applied at once where it meets in a batch. Convex cuts so many into a few mutations. */
const batchMax = 500;
/** Raw messages go side by side with them, and wait for nobody. */
const rawBatchMax = 100;
/** How long a batch waits to fill. People watch the dashboard live; a count that runs may run in larger steps. */
const fill = { waitMs: 50, flowWaitMs: 250 };
/** Batches on their way at once; Convex applies events in any order. */
const lanes = 2;

/**
 * Wires events to Convex and Convex's changes to the buckets. `url` is where health and metrics are served. Throws
 * Failure `upstream.down` when NATS cannot be reached; a Convex that is away is waited for.
 */
export async function start(config: Config, log: Log): Promise<Running & { url: string }> {
  const now = Date.now;
  const health = serveHealth("recorder", config.health.host, config.health.port);
  const metrics = createMetrics(health.registry, now);
  const bus = await connectBus({ ...config.nats, name: "recorder", log, registry: health.registry });

  const post = createPost(config.siteUrl, config.webhookKey, now);
  const common = { post, metrics, log, now, random: Math.random };
  const tracer = createTracer("recorder", config.tracing, log);
  const recorder = createRecorder({ ...common, tracer });
  const rawRecorder = createRawRecorder({
    ...common,
    upload: createUpload(config.convexUrl),
    getRaw: bus.raw.get,
    readRaw: bus.raw.read,
    dropRaw: bus.raw.drop,
  });
  const token = createToken(config.jwtKey, now);
  const follower = follow({
    openFeed: () => openFeed(config.convexUrl, token),
    bucket: bus.bucket,
    metrics,
    log,
    wait,
  });
  for (let lane = 0; lane < lanes; lane++)
    await bus.consumeBatches("recorder", { batchMax, ...fill }, recorder.record);
  await bus.consumeBatches("recorder-raw", { batchMax: rawBatchMax, ...fill }, rawRecorder.record);

  health.addCheck("nats", () => (bus.isConnected() ? undefined : "disconnected"));
  health.addCheck("convex", recorder.problem);
  health.addCheck("files", rawRecorder.problem);
  health.addCheck("sync", follower.problem);
  return {
    url: health.url,
    async stop() {
      await follower.stop();
      await bus.drain();
      await tracer.stop();
      await health.stop();
    },
  };
}

const wait = (ms: number, signal: AbortSignal) =>
  new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener(
      "abort",
      () => {
        clearTimeout(timer);
        resolve();
      },
      { once: true },
    );
  });
