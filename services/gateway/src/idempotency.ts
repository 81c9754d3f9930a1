/**
 * Idempotency-Key: the first request with a key decides, a repeat gets the same answer. What was decided (message ids,
 * who is suppressed) is reserved before anything is stored, so a repeat after a crash finishes the same messages, with
 * the same bytes and event ids, and never sends a second one.
 */
import type { Bucket } from "@tyto/bus";
import { Failure, type IdempotencyRecord } from "@tyto/contracts";

/**
 * After this time another process may finish a request whose owner is silent: it crashed, or takes long. Two that finish
 * it at once store the same bytes under the same ids, so the bound saves work and protects nothing.
 */
const leaseMs = 10_000;
/** How often a reservation that vanished between two steps is looked up again. */
const triesMax = 3;

export type Turn = {
  decisions: IdempotencyRecord["decisions"];
  /** When the first request came: every time in the messages counts from here. */
  at: number;
  /** Everything is stored already; only the answer is wanted. */
  isReplay: boolean;
  /** Another try began to store it: parts of it may be stored already. */
  isTakeover: boolean;
  /** Call it with what became of each message when everything that was decided is stored. */
  finish(decisions: IdempotencyRecord["decisions"]): Promise<void>;
  /** Call it at the end in any case: another try may follow at once. */
  release(): void;
};

export type Idempotency = {
  /**
   * Throws Failure `idempotency.conflict` for another body and `idempotency.in-progress` while the first request runs.
   * `decide` is called for a new key only; when it throws nothing is reserved.
   */
  begin(
    request: { callerId: string; key: string; bodySha256: string },
    decide: () => Promise<IdempotencyRecord["decisions"]>,
  ): Promise<Turn>;
};

export const sha256 = (data: string | Uint8Array) =>
  new Bun.CryptoHasher("sha256").update(data).digest("hex");

export function createIdempotency(
  bucket: Bucket<"IDEMPOTENCY">,
  now: () => number,
  owner: string = crypto.randomUUID(),
): Idempotency {
  /** Requests that run in this process; bounded by the requests in flight. */
  const running = new Set<string>();

  return {
    async begin({ callerId, key, bodySha256 }, decide) {
      const id = sha256(`${callerId}\n${key}`);
      if (running.has(id)) throw inProgress(1);
      running.add(id);
      const release = () => void running.delete(id);
      try {
        for (let attempt = 0; attempt < triesMax; attempt++) {
          const found = await bucket.get(id);
          if (found !== undefined) return resume(id, found, bodySha256, release);
          const at = now();
          const record = { bodySha256, owner, at, decisions: await decide(), done: false };
          if (await bucket.create(id, record)) return turn(id, record, false, release);
        }
        throw inProgress(1);
      } catch (error) {
        release();
        throw error;
      }
    },
  };

  function resume(id: string, found: IdempotencyRecord, bodySha256: string, release: () => void): Turn {
    if (found.bodySha256 !== bodySha256)
      throw new Failure("idempotency.conflict", "the key was used with another body", {
        hint: "Use a new Idempotency-Key for a new request",
      });
    const leaseLeftMs = found.at + leaseMs - now();
    // A reservation of this process that does not run any more ended in an error: its repeat need not wait.
    if (!found.done && found.owner !== owner && leaseLeftMs > 0)
      throw inProgress(Math.ceil(leaseLeftMs / 1_000));
    return turn(id, found, !found.done, release);
  }

  function turn(id: string, record: IdempotencyRecord, isTakeover: boolean, release: () => void): Turn {
    return {
      decisions: record.decisions,
      at: record.at,
      isReplay: record.done,
      isTakeover,
      finish: (decisions) => bucket.put(id, { ...record, decisions, done: true }),
      release,
    };
  }
}

const inProgress = (retryAfterS: number) =>
  new Failure("idempotency.in-progress", "the first request with this key still runs", { retryAfterS });
