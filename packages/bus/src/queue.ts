/** The send queue: entries ready to be sent, and those that wait for their time as schedules of the server. */
import { Failure, laterSubject, type QueueEntry, sendSubject } from "@tyto/contracts";
import { nuid } from "nats";
import { type Queue, reject } from "./bus.ts";
import { consumeLanes, type Parts, specOf, toArrival } from "./consume.ts";
import { readEntry, writeEntry } from "./contract.ts";
import type { Direct } from "./direct.ts";
import type { Headers } from "./link.ts";
import { createLook } from "./look.ts";
import { createQueueScan } from "./queue-scan.ts";
import { encode, type Requests, StreamError } from "./requests.ts";
import { atomicMessagesMax, type Message } from "./store.ts";
import { createSweep, queueDurables } from "./sweep.ts";

const stream = "QUEUE";
/** JetStream's "wrong last sequence": something is at this subject already. */
export const wrongLastSequence = 10_071;

/** Held per shard beyond what runs: enough to start the next at once, few enough to leave work to other processes. */
const heldPerShardMax = 8;

export function createQueue(
  parts: Parts & { direct: Direct; requests: Requests },
  requestMs: number,
  sweepMs: number,
): Queue {
  const { store, requests } = parts;
  const sweep = createSweep(parts, requestMs, sweepMs);
  const giveUpAtMs = () => Date.now() + requestMs;

  /** Atomic with all others; if one is there already, or was there a moment ago, each by itself. */
  const addAll = async (messages: readonly Message[]): Promise<void> => {
    try {
      await store.together(stream, messages);
    } catch (error) {
      if (!(error instanceof StreamError)) throw error;
      await Promise.all(messages.map(addOne));
    }
  };
  const addOne = async (message: Message): Promise<void> => {
    try {
      await store.one(message);
    } catch (error) {
      const isThere = error instanceof StreamError && error.errorCode === wrongLastSequence;
      if (!isThere) throw error;
    }
  };

  return {
    async add(entries, notBeforeMs) {
      const messages = entries.map((entry): Message => {
        const headers: Headers = {
          "Nats-Msg-Id": `${entry.deliveryId}.${entry.attempt}`,
          "Nats-Expected-Last-Subject-Sequence": "0",
        };
        return notBeforeMs === undefined
          ? { subject: sendSubject(entry), data: writeEntry(entry), headers }
          : {
              subject: laterSubject(entry.deliveryId),
              data: writeEntry(entry),
              headers: { ...headers, ...schedule(entry, notBeforeMs) },
            };
      });
      if (messages.length > atomicMessagesMax)
        throw new Failure("internal", `at most ${atomicMessagesMax} entries can be added at once`);
      if (messages.length > 0) await addAll(messages);
    },

    async later(entry, atMs) {
      // An id of its own: should the answer be lost and the time come, the repetition must not schedule it again.
      const headers = { "Nats-Msg-Id": nuid.next(), ...schedule(entry, atMs) };
      await store.together(stream, [
        { subject: laterSubject(entry.deliveryId), data: writeEntry(entry), headers },
      ]);
    },

    async cancelLater(id) {
      await requests.askJson({
        subject: `$JS.API.STREAM.PURGE.${stream}`,
        data: encode({ filter: laterSubject(id) }),
        giveUpAtMs: giveUpAtMs(),
      });
    },

    async consume({ concurrency, perShard = Math.ceil(concurrency / 2) }, handler) {
      const sweeping = await sweep.start();
      const lanes = queueDurables.map((durable) => ({ stream, durable }));
      const ackPendingMax = Math.min(...queueDurables.map((durable) => specOf(durable).ackPendingMax));
      const consumption = consumeLanes(parts, lanes, {
        concurrency,
        perLane: perShard,
        heldMax: Math.min(ackPendingMax, perShard + heldPerShardMax),
        retriesHere: true,
        keyOf: ({ subject }) => subject,
        async handle(delivery) {
          const entry = readEntry(delivery);
          if (!entry.ok) return reject(`breaks its contract: ${entry.problem}`);
          const verdict = await handler(entry.value, toArrival(delivery));
          sweeping.note(delivery.durable);
          return verdict;
        },
      });
      return {
        async stop() {
          await consumption.stop();
          await sweeping.stop();
        },
      };
    },

    scan: createQueueScan({ look: createLook(parts, requestMs), shard: sweep.shard, log: parts.log }),

    async remove({ subject, sequence }) {
      await requests.askJson({
        subject: `$JS.API.STREAM.PURGE.${stream}`,
        // Everything at its subject up to and with it.
        data: encode({ filter: subject, seq: sequence + 1 }),
        giveUpAtMs: giveUpAtMs(),
      });
    },

    async depth() {
      const shards = await Promise.all(queueDurables.map(sweep.shard));
      const info = await requests.askJson<StreamInfo>({
        subject: `$JS.API.STREAM.INFO.${stream}`,
        giveUpAtMs: giveUpAtMs(),
      });
      const ready = shards.reduce((sum, shard) => sum + shard.num_pending + shard.num_ack_pending, 0);
      return { ready, later: Math.max(0, info.state.messages - ready) };
    },
  };
}

type StreamInfo = { state: { messages: number } };

/** RFC 3339 in the form that the server takes; milliseconds count. */
const schedule = (entry: QueueEntry, atMs: number): Headers => ({
  "Nats-Schedule": `@at ${new Date(atMs).toISOString()}`,
  "Nats-Schedule-Target": sendSubject(entry),
});
