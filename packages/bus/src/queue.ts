/** The send queue: entries ready to be sent, and those that wait for their time as schedules of the server. */
import { type QueueEntry, sendConsumer, traffics } from "@tyto/contracts";
import { bury } from "./burial.ts";
import { done, type Queue, type Verdict } from "./bus.ts";
import { readEntries } from "./contract.ts";
import { watchEarlier } from "./earlier.ts";
import { createEntryPacker } from "./entries.ts";
import { consumeLanes } from "./lanes.ts";
import { createLook } from "./look.ts";
import { packEventsMax, weightOf } from "./packs.ts";
import type { Parts } from "./parts.ts";
import { createQueueScan } from "./queue-scan.ts";
import type { Delivery } from "./reader.ts";
import { encode, type Requests, StreamError } from "./requests.ts";
import { createSweep, queueDurables } from "./sweep.ts";

const stream = "QUEUE";
/**
 * What JetStream answers when a message to be deleted is gone: "no message found", "sequence not found", or "delete failed"
 * with the store's own words.
 */
const isGone = (error: unknown): boolean =>
  error instanceof StreamError &&
  (error.errorCode === 10_037 ||
    error.errorCode === 10_043 ||
    (error.errorCode === 10_057 && /no message found|deleted message/.test(error.message)));
/** Of the places, bulk mail leaves these to transactional mail. */
const bulkShare = 0.8;

type QueueParts = Parts & { requests: Requests };

export function createQueue(parts: QueueParts, requestMs: number, sweepMs: number): Queue {
  const { store, requests, log } = parts;
  const sweep = createSweep(parts, requestMs, sweepMs);
  const pack = createEntryPacker(store);
  const info = () =>
    requests.askJson<StreamInfo>({
      subject: `$JS.API.STREAM.INFO.${stream}`,
      giveUpAtMs: Date.now() + requestMs,
    });

  return {
    async add(entries, atMs = 0) {
      await Promise.all(entries.map((entry) => pack(entry, atMs)));
    },

    async consume({ concurrency }, handler) {
      const sweeping = await sweep.start();
      const earlier = watchEarlier(parts, stream, queueDurables, async () => (await info()).state.last_seq);
      const consumption = consumeLanes(parts, lanesOf(concurrency), {
        concurrency,
        weightOf,
        weightMax: packEventsMax,
        retriesHere: true,
        async handle(delivery, settled): Promise<Verdict> {
          const entries = await entriesOf(parts, delivery);
          const arrival = earlier.arrivalOf(delivery);
          const verdict = entries.length === 0 ? done : await handler(entries, arrival, () => settled(1));
          sweeping.note(delivery.durable);
          return verdict;
        },
      });
      return {
        async stop() {
          await consumption.stop();
          earlier.stop();
          await sweeping.stop();
        },
      };
    },

    scan: createQueueScan({ look: createLook(parts, requestMs), floorOf: sweep.durable, log }),
    remove: ({ sequence }) => remove(requests, sequence, Date.now() + requestMs),

    async depth() {
      const durables = await Promise.all(queueDurables.map(sweep.durable));
      const { state } = await info();
      const ready = durables.reduce(
        (sum, { num_pending, num_ack_pending }) => sum + num_pending + num_ack_pending,
        0,
      );
      return { ready, later: Math.max(0, state.messages - ready) };
    },
  };
}

const lanesOf = (concurrency: number) =>
  traffics.map((traffic) => ({
    stream,
    durable: sendConsumer(traffic),
    places: traffic === "bulk" ? Math.ceil(concurrency * bulkShare) : concurrency,
  }));

/** The entries that keep their contract; each of the others is a dead letter by itself. */
async function entriesOf({ store, metrics, log }: Parts, delivery: Delivery): Promise<QueueEntry[]> {
  const { durable, sequence } = delivery;
  const lines = readEntries(delivery);
  const broken = lines.flatMap(({ line, entry }) => (entry.ok ? [] : [{ line, problem: entry.problem }]));
  await Promise.all(
    broken.map(async ({ line, problem }) => {
      const reason = `breaks its contract: ${problem}`;
      await bury(store, { ...delivery, data: line }, reason);
      metrics.dead(durable);
      log.error("bus.dead-letter", { durable, sequence, reason });
    }),
  );
  return lines.flatMap(({ entry }) => (entry.ok ? [entry.value] : []));
}

async function remove(requests: Requests, sequence: number, giveUpAtMs: number): Promise<void> {
  try {
    await requests.askJson({
      subject: `$JS.API.STREAM.MSG.DELETE.${stream}`,
      data: encode({ seq: sequence, no_erase: true }),
      giveUpAtMs,
    });
  } catch (error) {
    if (!isGone(error)) throw error;
  }
}

type StreamInfo = { state: { messages: number; last_seq: number } };
