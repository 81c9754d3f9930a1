/** Makes and updates streams, buckets and durables as the contracts declare them. It never deletes any. */
import {
  type BucketName,
  buckets,
  type ConsumerSpec,
  consumers,
  Failure,
  type LookSpec,
  looks,
  type StreamSpec,
  streams,
} from "@tyto/contracts";
import { bucketPrefix, bucketStream } from "./bucket.ts";
import { checkServer } from "./connect.ts";
import { type Login, openLink } from "./link.ts";
import type { BusLog } from "./log.ts";
import { createRequests, encode, type Requests, StreamError } from "./requests.ts";

const waitMs = 15_000;
/** Streams and consumers made side by side. */
const atOnceMax = 8;
const nsPerMs = 1e6;

type Config = Readonly<Record<string, unknown>>;

/** On how many nodes of a cluster each stream stands. With 3, one of them may be lost; 2 would need both. */
export type Replicas = 1 | 3 | 5;

/**
 * Brings the server to what is declared; running it again changes nothing. Needs the `admin` user. Throws Failure
 * `upstream.down` for a server that is too old, `internal` when the server refuses or ignores a declaration.
 */
export async function provision(
  login: Login,
  log: BusLog,
  { replicas = 1 }: { replicas?: Replicas } = {},
): Promise<void> {
  const link = await openLink({ ...login, name: "provision" }, log);
  const requests = createRequests(link);
  try {
    await checkServer(requests, link.nats.info?.version ?? "unknown", waitMs);
    const configs = [
      ...Object.entries(streams).map(([name, spec]) => streamConfig(name, spec, replicas)),
      ...(Object.keys(buckets) as BucketName[]).map((name) => bucketConfig(name, replicas)),
    ];
    const made = await inTurns(configs, (config) => ensureStream(requests, config));
    const durables = [
      ...Object.entries(consumers).map(([name, spec]) => ({ spec, config: consumerConfig(name, spec) })),
      ...Object.entries(looks).map(([name, spec]) => ({ spec, config: lookConfig(name, spec) })),
    ];
    const consumed = await inTurns(durables, ({ spec, config }) =>
      ensureConsumer(requests, spec.stream, config),
    );
    const changed = [...made, ...consumed].filter((name) => name !== undefined);
    log.info("bus.provisioned", { streams: configs.length, durables: durables.length, replicas, changed });
  } finally {
    requests.stop();
    await link.nats.drain();
  }
}

function streamConfig(name: string, spec: StreamSpec, replicas: Replicas = 1): Config {
  return {
    name,
    subjects: spec.subjects,
    retention: spec.retention,
    storage: "file",
    // The server does not write replicated streams asynchronously.
    persist_mode: replicas === 1 ? (spec.persistence ?? "") : "",
    max_age: spec.maxAgeMs * nsPerMs,
    max_msgs: -1,
    max_bytes: -1,
    max_msgs_per_subject: spec.maxMessagesPerSubject ?? -1,
    // Old goes before new is refused; with schedules the server allows nothing else.
    discard: "old",
    num_replicas: replicas,
    ...(spec.duplicateWindowMs > 0 ? { duplicate_window: spec.duplicateWindowMs * nsPerMs } : {}),
    allow_direct: spec.directGet ?? false,
    allow_atomic: spec.atomicBatches ?? false,
    allow_msg_schedules: spec.schedules ?? false,
    allow_msg_counter: spec.counters ?? false,
    allow_msg_ttl: spec.messageTtls ?? false,
  };
}

/** Longer than a publish is tried: the id of a put that is repeated is still known. */
const bucketDuplicateWindowMs = 30_000;

function bucketConfig(bucket: BucketName, replicas: Replicas = 1): Config {
  const { ttlMs, history } = buckets[bucket];
  return {
    name: bucketStream(bucket),
    subjects: [`${bucketPrefix(bucket)}>`],
    retention: "limits",
    storage: "file",
    max_age: ttlMs * nsPerMs,
    max_msgs: -1,
    max_bytes: -1,
    max_msgs_per_subject: history,
    discard: "new",
    num_replicas: replicas,
    duplicate_window: bucketDuplicateWindowMs * nsPerMs,
    deny_delete: true,
    allow_rollup_hdrs: true,
    allow_direct: true,
    allow_atomic: true,
  };
}

function consumerConfig(name: string, spec: ConsumerSpec): Config {
  return {
    durable_name: name,
    name,
    filter_subjects: spec.filter,
    ack_policy: "explicit",
    ack_wait: spec.ackWaitMs * nsPerMs,
    max_ack_pending: spec.ackPendingMax,
    // Giving up is the bus's decision: the server would leave the message where nobody sees it.
    max_deliver: -1,
    deliver_policy: "all",
    replay_policy: "instant",
    // Pulls that wait at a time: a few per process.
    max_waiting: 512,
  };
}

function lookConfig(name: string, { filter, headersOnly }: LookSpec): Config {
  return {
    durable_name: name,
    name,
    filter_subjects: [filter],
    ack_policy: "none",
    max_deliver: -1,
    deliver_policy: "all",
    replay_policy: "instant",
    headers_only: headersOnly,
    max_waiting: 16,
  };
}

const ask = <T>(requests: Requests, subject: string, body?: unknown): Promise<T> =>
  requests.askJson<T>({
    subject,
    ...(body === undefined ? {} : { data: encode(body) }),
    giveUpAtMs: Date.now() + waitMs,
  });

const streamMissing = 10_059;
const consumerMissing = 10_014;

/** The present answer, or `undefined` for what does not exist. */
async function find<T>(requests: Requests, subject: string, missing: number): Promise<T | undefined> {
  try {
    return await ask<T>(requests, subject);
  } catch (error) {
    if (error instanceof StreamError && error.errorCode === missing) return undefined;
    throw error;
  }
}

const differing = (wanted: Config, present: Config): string[] =>
  Object.keys(wanted).filter((key) => !isSame(wanted[key], present[key]));

/** The server leaves out what is false, zero or empty. */
const isSame = (wanted: unknown, present: unknown): boolean =>
  Array.isArray(wanted)
    ? JSON.stringify(wanted) === JSON.stringify(present)
    : wanted === present || (present === undefined && (wanted === false || wanted === 0 || wanted === ""));

async function ensureStream(requests: Requests, wanted: Config): Promise<string | undefined> {
  const name = String(wanted.name);
  const present = await find<{ config: Config }>(requests, `$JS.API.STREAM.INFO.${name}`, streamMissing);
  if (present !== undefined && differing(wanted, present.config).length === 0) return undefined;
  const verb = present === undefined ? "CREATE" : "UPDATE";
  const made = await refusable(`stream ${name}`, () =>
    ask<{ config: Config }>(requests, `$JS.API.STREAM.${verb}.${name}`, { ...present?.config, ...wanted }),
  );
  // An old server takes flags that it does not know and leaves them out of its answer.
  insist(`stream ${name}`, differing(wanted, made.config));
  return name;
}

async function ensureConsumer(
  requests: Requests,
  stream: string,
  wanted: Config,
): Promise<string | undefined> {
  const name = String(wanted.name);
  const askInfo = () =>
    find<{ config: Config }>(requests, `$JS.API.CONSUMER.INFO.${stream}.${name}`, consumerMissing);
  const present = await askInfo();
  // The server keeps a single filter in a field of its own.
  const filterOf = (config: Config): Config =>
    typeof config.filter_subject === "string" && config.filter_subject !== ""
      ? { ...config, filter_subjects: [config.filter_subject] }
      : config;
  if (present !== undefined && differing(wanted, filterOf(present.config)).length === 0) return undefined;
  const made = await refusable(`durable ${name}`, () =>
    ask<{ config: Config }>(requests, `$JS.API.CONSUMER.CREATE.${stream}.${name}`, {
      stream_name: stream,
      config: wanted,
    }),
  );
  // The answer about a durable that was there already may tell its old configuration: the server is asked again.
  const after = present === undefined ? made : ((await askInfo()) ?? made);
  insist(`durable ${name}`, differing(wanted, filterOf(after.config)));
  return name;
}

async function refusable<T>(what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof StreamError)) throw error;
    throw new Failure("internal", `nats-server refuses ${what} as it is declared: ${error.message}`, {
      cause: error,
    });
  }
}

function insist(what: string, ignored: string[]): void {
  if (ignored.length > 0)
    throw new Failure("internal", `nats-server ignored ${ignored.join(", ")} of ${what}`);
}

async function inTurns<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (let from = 0; from < items.length; from += atOnceMax)
    results.push(...(await Promise.all(items.slice(from, from + atOnceMax).map(work))));
  return results;
}
