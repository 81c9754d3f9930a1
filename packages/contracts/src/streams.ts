/**
 * Streams and durable consumers, declared once. The bus creates and updates them from here; ops/nats.conf derives each
 * user's rights from here.
 */
import { heardMax, type Traffic, traffics } from "./values.ts";

const dayMs = 86_400_000;

export type StreamSpec = {
  subjects: readonly string[];
  retention: "limits";
  /** 0 means without limit: the queue must never drop mail by age. */
  maxAgeMs: number;
  duplicateWindowMs: number;
  /** `"async"`: written without an fsync of its own; for what may lose its last moments. */
  persistence?: "async";
  schedules?: boolean;
  atomicBatches?: boolean;
  directGet?: boolean;
  counters?: boolean;
  /** A message may carry its own time to live. */
  messageTtls?: boolean;
  maxMessagesPerSubject?: number;
};

export const streams = {
  /** Every event. Rebuilt from nothing: it is the record until Convex has it. 14 days outlast the longest expiry (5 days). */
  EVENTS: {
    subjects: ["mail.>", "domain.>", "report.>", "sending.>", "egress.>"],
    retention: "limits",
    maxAgeMs: 14 * dayMs,
    duplicateWindowMs: 120_000,
    atomicBatches: true,
    directGet: true,
  },
  /**
   * Bodies of accepted messages in parts: `body.<messageId>.<part>`. Dropped at the final outcome, else by age: an empty
   * message with a short life of its own takes the place of a dropped part.
   */
  BODY: {
    subjects: ["body.>"],
    retention: "limits",
    maxAgeMs: 40 * dayMs,
    duplicateWindowMs: 120_000,
    atomicBatches: true,
    messageTtls: true,
    directGet: true,
    maxMessagesPerSubject: 1,
  },
  /**
   * Recipients waiting to be tried, and those waiting for their time. Only the mta's user reaches it. The bus purges
   * what a durable has acknowledged, many at a time: the server's own work queue syncs the removal of each.
   */
  QUEUE: {
    subjects: ["queue.send.>", "queue.later.>"],
    retention: "limits",
    maxAgeMs: 0,
    duplicateWindowMs: 120_000,
    schedules: true,
    atomicBatches: true,
    directGet: true,
  },
  /** Mail that came in, as it came: `raw.<rawId>.<part>`, until the recorder has put it into Convex file storage. */
  RAW: {
    subjects: ["raw.>"],
    retention: "limits",
    maxAgeMs: 14 * dayMs,
    duplicateWindowMs: 120_000,
    atomicBatches: true,
    messageTtls: true,
    directGet: true,
    maxMessagesPerSubject: 1,
  },
  /** What broke its contract or was rejected: `dead.<stream>.<consumer>`. Read by `tyto dlq`. */
  DEAD: {
    subjects: ["dead.>"],
    retention: "limits",
    maxAgeMs: 30 * dayMs,
    duplicateWindowMs: 120_000,
    directGet: true,
  },
  /**
   * Request counters of the API's rate limit: `rate.<apiKeyId>.<window>`. Worth nothing after the window. In a
   * file because a stream in memory is gone, with its declaration, when the server restarts.
   */
  RATE: {
    subjects: ["rate.>"],
    retention: "limits",
    maxAgeMs: 120_000,
    duplicateWindowMs: 0,
    persistence: "async",
    counters: true,
    directGet: true,
    maxMessagesPerSubject: 1,
  },
} as const satisfies Record<string, StreamSpec>;

export type StreamName = keyof typeof streams;

export type ConsumerSpec = {
  stream: StreamName;
  filter: readonly string[];
  /** Unacknowledged messages over all processes of the durable. */
  ackPendingMax: number;
  /** After this silence the server delivers again; the bus says "still working" at a third of it. */
  ackWaitMs: number;
};

/** The mta's durable of one kind of traffic. */
export const sendConsumer = (traffic: Traffic) => `mta-${traffic}`;

export const consumers: Record<string, ConsumerSpec> = {
  scanner: { stream: "EVENTS", filter: ["mail.submitted"], ackPendingMax: 32, ackWaitMs: 30_000 },
  "mta-intake": {
    stream: "EVENTS",
    filter: ["mail.accepted", "mail.scanned"],
    // Each may wait for a connection to its site.
    ackPendingMax: 10_000,
    ackWaitMs: 30_000,
  },
  // What came back after a server had taken it, for breakers and warming. Reports of one outage come by the thousand; those
  // under way can come again, so whoever counts them remembers as many.
  "mta-feedback": {
    stream: "EVENTS",
    filter: ["mail.complained", "mail.bounced"],
    ackPendingMax: heardMax,
    ackWaitMs: 30_000,
  },
  recorder: {
    stream: "EVENTS",
    filter: ["mail.>", "domain.>", "report.>", "sending.>", "egress.>"],
    ackPendingMax: 2_000,
    ackWaitMs: 30_000,
  },
  // Raw messages go to Convex beside the events, so that large ones hold up nothing.
  "recorder-raw": { stream: "EVENTS", filter: ["mail.received"], ackPendingMax: 512, ackWaitMs: 60_000 },
  ...Object.fromEntries(
    traffics.map((traffic) => [
      sendConsumer(traffic),
      // Short: what a dead mta had in hand comes again after this long. The bus keeps saying "still working".
      {
        stream: "QUEUE",
        filter: [`queue.send.${traffic}.>`],
        ackPendingMax: 2_000,
        ackWaitMs: 20_000,
      } as const,
    ]),
  ),
};

/**
 * Durables that only look, for what counts or searches: nothing is acknowledged, and each look begins at a position of its
 * own. One look at a time on each; who needs one takes any that is free.
 */
export type LookSpec = { stream: StreamName; filter: string; headersOnly: boolean };

const looksAtOnce = 4;
const queueLooks = (name: string, headersOnly: boolean): [string, LookSpec][] =>
  Array.from({ length: looksAtOnce }, (_, index) => [
    `${name}-${index}`,
    { stream: "QUEUE", filter: "queue.>", headersOnly },
  ]);

export const looks: Record<string, LookSpec> = Object.fromEntries([
  ...queueLooks("mta-count", true),
  ...queueLooks("mta-read", false),
]);
