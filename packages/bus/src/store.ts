/**
 * Puts messages into streams. Calls that come while others are on their way are stored together as one atomic batch:
 * with `sync_interval: always` one fsync then serves up to `batchMessagesMax` messages. Few calls go one by one at once,
 * so batching never adds a wait. Each message carries what makes its repetition harmless (an id or an expectation).
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

/** JetStream's "atomic publish batch is incomplete". */
const batchIncomplete = 10_176;
/** The server's own limit on one atomic batch. */
export const atomicMessagesMax = 1_000;
/** How calls share the way to the server. */
export type LaneLimits = {
  /** A batch costs the server about as much as this many single messages, however few are in it. */
  batchMessagesMin: number;
  batchMessagesMax: number;
  /** The server stores one batch after the other; the more wait meanwhile, the more share the next one. */
  batchesMax: number;
  singlesMax: number;
};
const laneLimits: LaneLimits = { batchMessagesMin: 16, batchMessagesMax: 512, batchesMax: 1, singlesMax: 8 };
const batchBytesMax = 4_194_304;
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

export function createStore(
  link: Link,
  requests: Requests,
  publishMs: number,
  { batchMessagesMin, batchMessagesMax, batchesMax, singlesMax }: LaneLimits = laneLimits,
): Store {
  const isTooLarge = ({ data }: Message) =>
    data.length + headerBytesMax > (link.nats.info?.max_payload ?? Number.POSITIVE_INFINITY);
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
    try {
      await requests.askJson<Stored>({
        ...commit,
        headers: { ...numbered(commit, last), "Nats-Batch-Commit": "1" },
        giveUpAtMs,
        once: true,
      });
    } catch (error) {
      // The stream got another leader in the middle, which knows nothing of the beginning.
      if (error instanceof StreamError && error.errorCode === batchIncomplete)
        throw new Interrupted(commit.subject);
      throw error;
    }
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
    let waitingMessages = 0;
    let singles = 0;
    let batches = 0;
    let isLaunching = false;

    const take = (count: number): Unit[] => {
      const units = waiting.slice(0, count);
      waiting = waiting.slice(count);
      for (const unit of units) {
        waitingBytes -= unit.bytes;
        waitingMessages -= unit.messages.length;
      }
      return units;
    };
    /** How many of those that wait fit into one batch; at least one. */
    const fitting = (): number => {
      let messages = 0;
      let bytes = 0;
      const over = waiting.findIndex((unit, index) => {
        messages += unit.messages.length;
        bytes += unit.bytes;
        return index > 0 && (messages > batchMessagesMax || bytes > batchBytesMax);
      });
      return over < 0 ? waiting.length : over;
    };

    const launch = () => {
      isLaunching = false;
      while (waiting.length > 0) {
        const isWorthBatch = waitingMessages >= batchMessagesMin || waiting[0]?.messages.length !== 1;
        if (isWorthBatch && batches < batchesMax) {
          batches++;
          void fly(take(fitting())).finally(() => {
            batches--;
            launch();
          });
        } else if (!isWorthBatch && singles < singlesMax) {
          singles++;
          void fly(take(1)).finally(() => {
            singles--;
            launch();
          });
        } else return;
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
        waitingMessages += messages.length;
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
