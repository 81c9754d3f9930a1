/**
 * Puts messages into streams. Calls that come while others are on their way are stored together as one atomic batch:
 * with `sync_interval: always` one fsync then serves up to `batchMessagesMax` messages. An idle lane sends at once, so
 * batching never adds a wait. Each message carries what makes its repetition harmless (an id or an expectation).
 */
import { Failure } from "@tyto/contracts";
import { nuid } from "nats";
import type { Headers, Link } from "./link.ts";
import { Interrupted, isFull, type Requests, StreamError } from "./requests.ts";

export type Message = { subject: string; data: Uint8Array; headers?: Headers };
export type Stored = { stream: string; seq: number; duplicate?: boolean; val?: string };

export type Store = {
  /** Stores one message by itself. Throws StreamError for a refusal, Failure `storage.full` or `upstream.down`. */
  one(message: Message, waitMs?: number): Promise<Stored>;
  /** Stores all of `messages` or none, maybe together with those of other callers. Throws as `one` does. */
  together(lane: string, messages: readonly Message[]): Promise<void>;
};

/** The server's own limit on one atomic batch. */
export const atomicMessagesMax = 1_000;
const batchMessagesMax = 256;
const batchBytesMax = 2_097_152;
/** Batches of one lane on their way at a time: one is being synced while the next is being received. */
const flightsMax = 2;
const waitingBytesMax = 134_217_728;
/** Room for our headers inside the server's `max_payload`. */
const headerBytesMax = 8_192;

type Unit = {
  messages: readonly Message[];
  bytes: number;
  giveUpAtMs: number;
  resolve(): void;
  reject(error: unknown): void;
};

export function createStore(link: Link, requests: Requests, publishMs: number): Store {
  const isTooLarge = ({ data }: Message) =>
    data.length + headerBytesMax > (link.nats.info?.max_payload ?? data.length);
  const tooLarge = (messages: readonly Message[]): Failure | undefined => {
    const large = messages.find(isTooLarge);
    return large && new Failure("request.too-large", `${large.data.length} bytes for ${large.subject}`);
  };

  const single = async (message: Message, giveUpAtMs: number): Promise<Stored> => {
    try {
      return await requests.askJson<Stored>({ ...message, giveUpAtMs });
    } catch (error) {
      throw toPublic(error);
    }
  };

  /** One atomic batch. Throws StreamError when refused, Interrupted when its fate is unknown. */
  const atomic = async (messages: readonly Message[], giveUpAtMs: number): Promise<void> => {
    await link.whenConnected(giveUpAtMs);
    const batch = nuid.next();
    const last = messages.length - 1;
    const numbered = ({ headers }: Message, index: number): Headers => ({
      ...headers,
      "Nats-Batch-Id": batch,
      "Nats-Batch-Sequence": String(index + 1),
    });
    for (let index = 0; index < last; index++) {
      const message = messages[index];
      if (message === undefined) break;
      link.publish(message.subject, message.data, { headers: numbered(message, index) });
    }
    const commit = messages[last];
    if (commit === undefined) return;
    await requests.askJson<Stored>({
      ...commit,
      headers: { ...numbered(commit, last), "Nats-Batch-Commit": "1" },
      giveUpAtMs,
      once: true,
    });
  };

  /** All or none of one caller's messages; a batch that met a disconnect is repeated, its ids keep it from doubling. */
  const storeUnit = async ({ messages, giveUpAtMs }: Unit): Promise<void> => {
    const [only] = messages;
    if (messages.length === 1 && only !== undefined) return void (await single(only, giveUpAtMs));
    for (;;) {
      try {
        return await atomic(messages, giveUpAtMs);
      } catch (error) {
        if (!(error instanceof Interrupted)) throw toPublic(error);
        if (Date.now() >= giveUpAtMs) throw new Failure("upstream.down", error.message, { cause: error });
      }
    }
  };

  const settle = async (unit: Unit): Promise<void> => {
    try {
      await storeUnit(unit);
      unit.resolve();
    } catch (error) {
      unit.reject(error);
    }
  };

  /** Several callers' messages at once. Whatever goes wrong with the whole is settled caller by caller. */
  const fly = async (units: readonly Unit[]): Promise<void> => {
    const [only] = units;
    if (units.length === 1 && only !== undefined) return settle(only);
    try {
      await atomic(
        units.flatMap((unit) => unit.messages),
        Math.min(...units.map((unit) => unit.giveUpAtMs)),
      );
    } catch {
      // Interrupted, or one message was refused (a repeated id refuses its whole batch): nobody is answered yet.
      await Promise.all(units.map(settle));
      return;
    }
    for (const unit of units) unit.resolve();
  };

  const createLane = () => {
    let waiting: Unit[] = [];
    let waitingBytes = 0;
    let flights = 0;
    let isLaunching = false;

    const launch = () => {
      isLaunching = false;
      while (flights < flightsMax && waiting.length > 0) {
        let messages = 0;
        let bytes = 0;
        let taken = 0;
        for (const unit of waiting) {
          messages += unit.messages.length;
          bytes += unit.bytes;
          if (taken > 0 && (messages > batchMessagesMax || bytes > batchBytesMax)) break;
          taken++;
        }
        const units = waiting.slice(0, taken);
        waiting = waiting.slice(taken);
        for (const unit of units) waitingBytes -= unit.bytes;
        flights++;
        void fly(units).finally(() => {
          flights--;
          launch();
        });
      }
    };

    return (messages: readonly Message[]): Promise<void> =>
      new Promise((resolve, reject) => {
        const bytes = messages.reduce((sum, { data }) => sum + data.length, 0);
        if (waitingBytes > 0 && waitingBytes + bytes > waitingBytesMax)
          return reject(new Failure("upstream.down", `more than ${waitingBytesMax} bytes wait for NATS`));
        const refused = tooLarge(messages);
        if (refused) return reject(refused);
        waitingBytes += bytes;
        waiting.push({ messages, bytes, giveUpAtMs: Date.now() + publishMs, resolve, reject });
        if (isLaunching) return;
        isLaunching = true;
        // After this turn of the event loop's microtasks: calls made side by side share the first batch already.
        queueMicrotask(launch);
      });
  };

  const lanes = new Map<string, ReturnType<typeof createLane>>();
  return {
    async one(message, waitMs = publishMs) {
      const refused = tooLarge([message]);
      if (refused) throw refused;
      return single(message, Date.now() + waitMs);
    },
    together(name, messages) {
      const lane = lanes.get(name) ?? createLane();
      lanes.set(name, lane);
      return lane(messages);
    },
  };
}

const toPublic = (error: unknown): unknown =>
  error instanceof StreamError && isFull(error)
    ? new Failure("storage.full", error.message, { cause: error })
    : error;
