/**
 * Puts messages into streams. Calls that come while others are on their way are stored together as one atomic batch:
 * with `sync_interval: always` one fsync then serves up to `batchMessagesMax` messages. Few calls go one by one at once,
 * so batching never adds a wait. Each message carries what makes its repetition harmless (an id or an expectation).
 */
import { Failure } from "@tyto/contracts";
import type { Headers, Link } from "../link.ts";
import type { Requests } from "../requests.ts";
import { Lane, type LaneLimits } from "./lane.ts";
import { storeOne } from "./storing.ts";

export type Message = { subject: string; data: Uint8Array; headers?: Headers };
export type Stored = { stream: string; seq: number; duplicate?: boolean; val?: string };

export type Store = {
  /** Stores one message by itself. Throws StreamError for a refusal, Failure `storage.full` or `upstream.down`. */
  one(message: Message, waitMs?: number): Promise<Stored>;
  /** Stores all of `messages` or none, maybe together with those of other callers. Throws as `one` does. */
  together(lane: string, messages: readonly Message[]): Promise<void>;
};

const laneLimits: LaneLimits = { batchMessagesMin: 16, batchMessagesMax: 512, batchesMax: 1, singlesMax: 8 };
/** Room for our headers inside the server's `max_payload`. */
const headerBytesMax = 8_192;

export function createStore(
  link: Link,
  requests: Requests,
  publishMs: number,
  limits: LaneLimits = laneLimits,
): Store {
  const lanes = new Map<string, Lane>();
  const tooLarge = (messages: readonly Message[]): Failure | undefined => {
    const bytesMax = (link.nats.info?.max_payload ?? Number.POSITIVE_INFINITY) - headerBytesMax;
    const large = messages.find(({ data }) => data.length > bytesMax);
    return large && new Failure("request.too-large", `${large.data.length} bytes for ${large.subject}`);
  };
  return {
    async one(message, waitMs = publishMs) {
      const refused = tooLarge([message]);
      if (refused) throw refused;
      return storeOne(requests, message, Date.now() + waitMs);
    },
    together(name, messages) {
      const refused = tooLarge(messages);
      if (refused) return Promise.reject(refused);
      const lane = lanes.get(name) ?? new Lane({ link, requests }, publishMs, limits);
      lanes.set(name, lane);
      return lane.add(messages);
    },
  };
}
