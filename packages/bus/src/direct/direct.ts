/**
 * Reads from streams without a consumer: a direct get costs one round trip and leaves nothing behind on the server.
 *
 * In a cluster every replica answers direct gets, and one that lags behind answers that it has not what was stored a moment
 * ago. What must not be missed is asked of the stream's leader, which costs about three times as much.
 */
import type { MsgHdrs } from "nats";
import type { Requests } from "../requests.ts";
import { Leader } from "./leader.ts";
import { Replicas } from "./replicas.ts";

export type Found = {
  subject: string;
  sequence: number;
  data: Uint8Array;
  headers: MsgHdrs;
  /** Stored as the answer to somebody's read, not by a publish: the server's headers stand there twice. */
  isStrayAnswer: boolean;
};

/** A position in a stream, or the time from which messages were stored. */
export type Start = number | { sinceMs: number };

export type End = { sequence: number; storedAtMs: number };

export type Direct = {
  /** Whether others than the stream's leader answer `page`: what they lack may be there all the same. */
  isReplicated(): boolean;
  /** The last message at `subject`, if there is one. With `mayLag` a replica that lags behind may answer. */
  last(stream: string, subject: string, options?: { mayLag?: boolean }): Promise<Found | undefined>;
  /** The last message at each of `subjects` (at most 1,024) that has one. */
  lastOfEach(
    stream: string,
    subjects: readonly string[],
    options?: { mayLag?: boolean },
  ): Promise<Map<string, Found>>;
  /** The first message at or after `sequence` whose subject matches. */
  next(stream: string, sequence: number, filter: string): Promise<Found | undefined>;
  /** Up to `countMax` messages in order from `start`. Throws Interrupted when the connection broke: ask again. */
  page(stream: string, start: Start, filter: string, countMax: number): Promise<Found[]>;
  /** Where, and when, the last message at `filter` was stored. */
  end(stream: string, filter: string): Promise<End | undefined>;
  /** The highest position among the last messages of `filters`; 0 when there is none. Throws as `page` does. */
  lastSequence(stream: string, filters: readonly string[]): Promise<number>;
};

/** What both the leader and the replicas can be asked. */
export type Reads = Pick<Direct, "next" | "end" | "lastSequence"> & {
  last(stream: string, subject: string): Promise<Found | undefined>;
  lastOfEach(stream: string, subjects: readonly string[]): Promise<Map<string, Found>>;
};

export function createDirect(requests: Requests, requestMs: number, isReplicated: () => boolean): Direct {
  const leader: Reads = new Leader(requests, requestMs);
  const replicas = new Replicas(requests, requestMs);
  const of = ({ mayLag = false }: { mayLag?: boolean } = {}): Reads =>
    mayLag || !isReplicated() ? replicas : leader;
  return {
    isReplicated,
    last: (stream, subject, options) => of(options).last(stream, subject),
    lastOfEach: (stream, subjects, options) => of(options).lastOfEach(stream, subjects),
    next: (stream, sequence, filter) => of().next(stream, sequence, filter),
    end: (stream, filter) => of().end(stream, filter),
    lastSequence: (stream, filters) => of().lastSequence(stream, filters),
    page: (stream, start, filter, countMax) => replicas.page(stream, start, filter, countMax),
  };
}
