/** From a login to a Bus. */
import { type BucketName, Failure } from "@tyto/contracts";
import type { Registry } from "prom-client";
import { consumeBatches } from "./batches/consume-batches.ts";
import { createBodies } from "./bodies.ts";
import { createBucket } from "./bucket.ts";
import type { Bus } from "./bus.ts";
import { consume } from "./consume.ts";
import { createControl } from "./control/control.ts";
import { count } from "./counter.ts";
import { createDirect } from "./direct/direct.ts";
import { type Link, type Login, openLink } from "./link.ts";
import type { BusLog } from "./log.ts";
import { createMetrics } from "./metrics.ts";
import type { Parts } from "./parts.ts";
import { createPast } from "./past.ts";
import { createPublishing } from "./publishing.ts";
import { createQueue } from "./queue.ts";
import { createRequests, type Requests } from "./requests.ts";
import { RunningParts } from "./running.ts";
import { createStore } from "./store/store.ts";
import { sweepMsDefault } from "./sweep.ts";
import { lookMsDefault } from "./watch.ts";

export type BusOptions = Login & {
  /** The service; shown in the server's list of connections. */
  name: string;
  log: BusLog;
  registry?: Registry | undefined;
  /** How long a publish or another request is tried before Failure `upstream.down`. */
  publishMs?: number;
  /** How long `drain` waits for handlers in hand; less than the 20 s that a service may take to stop. */
  drainMs?: number;
  /** How often acknowledged entries are taken out of the queue. */
  sweepMs?: number;
  /** How often a watched bucket is looked through for changes that nothing told of. */
  lookMs?: number;
  now?: () => number;
};

const publishMsDefault = 10_000;
const drainMsDefault = 15_000;
/** How long the last bytes may take, on top of `drainMs`. */
const goodbyeMsMax = 1_000;
/** How long a look at the metrics waits for the server. */
const backlogMsMax = 1_000;

/** 2.14: older servers store schedules, acknowledge them and never fire them. */
const apiLevelMin = 4;

/**
 * Connects with the service's own user. Throws Failure `upstream.down` when there is no server, when it refuses the
 * login, or when it is too old.
 */
export async function connectBus(options: BusOptions): Promise<Bus> {
  const { log, registry, publishMs = publishMsDefault, drainMs = drainMsDefault, now = Date.now } = options;
  const link = await openLink(options, log);
  const requests = createRequests(link);
  try {
    await checkServer(requests, link.nats.info?.version ?? "unknown", publishMs);
  } catch (error) {
    requests.stop();
    await link.nats.drain();
    throw error;
  }
  const store = createStore(link, requests, publishMs);
  const direct = createDirect(requests, publishMs, link.isClustered);
  const metrics = createMetrics(registry, link.isConnected, (stream, durable) =>
    requests.askJson({
      subject: `$JS.API.CONSUMER.INFO.${stream}.${durable}`,
      giveUpAtMs: Date.now() + backlogMsMax,
    }),
  );
  const parts = { link, store, direct, requests, log, metrics } satisfies Parts & Record<string, unknown>;
  const running = new RunningParts();
  const queue = createQueue(parts, publishMs, options.sweepMs ?? sweepMsDefault);
  const control = createControl(parts, { who: options.user ?? options.name, now });
  let draining: Promise<void> | undefined;
  return {
    ...createPublishing(store, metrics),
    consume: async (durable, handlers, how) => running.keep(consume(parts, durable, handlers, how)),
    consumeBatches: async (durable, how, handler) =>
      running.keep(consumeBatches(parts, durable, how, handler)),
    past: createPast(parts, publishMs),
    bodies: createBodies(parts, "BODY", "body", publishMs),
    raw: createBodies(parts, "RAW", "raw", publishMs),
    queue: { ...queue, consume: async (how, handler) => running.keep(await queue.consume(how, handler)) },
    bucket<B extends BucketName>(name: B) {
      const bucket = createBucket({ ...parts, lookMs: options.lookMs ?? lookMsDefault }, name);
      return { ...bucket, watch: async (onChange) => running.keepWatch(await bucket.watch(onChange)) };
    },
    count: (key, windowMs, add = 1) => count(store, now(), key, windowMs, add),
    control,
    isConnected: link.isConnected,
    durablesRefused: () => [...link.refused],
    drain() {
      draining ??= drain({ link, requests, log }, running, control, drainMs);
      return draining;
    },
  };
}

/** Takes nothing new, lets what is in hand end, and says goodbye. */
async function drain(
  { link, requests, log }: { link: Link; requests: Requests; log: BusLog },
  running: RunningParts,
  control: { stop(): void },
  drainMs: number,
): Promise<void> {
  const giveUpAtMs = Date.now() + drainMs;
  const inTime = (promise: Promise<unknown>) => within(Math.max(0, giveUpAtMs - Date.now()), promise);
  control.stop();
  if (!(await inTime(running.stop()))) log.warn("bus.drain-took-too-long", { drainMs });
  await inTime(requests.whenIdle());
  requests.stop();
  // Not close(), which drops what is still to be sent; it is for a server that is not there to take anything.
  if (!(link.isConnected() && (await within(goodbyeMsMax, link.nats.drain())))) await link.nats.close();
}

/** True if it came in time. */
async function within(ms: number, promise: Promise<unknown>): Promise<boolean> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(resolve, ms, false);
  });
  const result = await Promise.race([promise.then(() => true), late]);
  clearTimeout(timer);
  return result;
}

/** Throws Failure `upstream.down` unless JetStream is on and new enough. */
export async function checkServer(requests: Requests, version: string, waitMs: number): Promise<void> {
  const info = await requests
    .askJson<{ api?: { level?: number } }>({ subject: "$JS.API.INFO", giveUpAtMs: Date.now() + waitMs })
    .catch((error: unknown) => {
      throw new Failure("upstream.down", `JetStream of nats-server ${version} does not answer; is it on?`, {
        cause: error,
      });
    });
  const level = info.api?.level ?? 0;
  if (level < apiLevelMin)
    throw new Failure(
      "upstream.down",
      `nats-server ${version} has JetStream API level ${level}; Tyto needs nats-server 2.14 or newer (level ${apiLevelMin}), because older ones never fire schedules`,
    );
}
