/** Reads from streams without a consumer: a direct get costs one round trip and leaves nothing behind on the server. */
import type { MsgHdrs } from "nats";
import { encode, type Reply, type Requests, StreamError } from "./requests.ts";

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

export type Direct = {
  /** The last message at `subject`, if there is one. */
  last(stream: string, subject: string): Promise<Found | undefined>;
  /** The first message at or after `sequence` whose subject matches. */
  next(stream: string, sequence: number, filter: string): Promise<Found | undefined>;
  /** Up to `countMax` messages in order from `start`. Throws Interrupted when the connection broke: ask again. */
  page(stream: string, start: Start, filter: string, countMax: number): Promise<Found[]>;
  /** The highest position among the last messages of `filters`; 0 when there is none. Throws as `page` does. */
  lastSequence(stream: string, filters: readonly string[]): Promise<number>;
};

const pageBytesMax = 4_194_304;

export function createDirect(requests: Requests, requestMs: number): Direct {
  const giveUpAtMs = () => Date.now() + requestMs;
  return {
    last: async (stream, subject) =>
      toFound(
        await requests.ask({ subject: `$JS.API.DIRECT.GET.${stream}.${subject}`, giveUpAtMs: giveUpAtMs() }),
      ),
    next: async (stream, sequence, filter) =>
      toFound(
        await requests.ask({
          subject: `$JS.API.DIRECT.GET.${stream}`,
          data: encode({ seq: sequence, next_by_subj: filter }),
          giveUpAtMs: giveUpAtMs(),
        }),
      ),
    async page(stream, start, filter, countMax) {
      const from =
        typeof start === "number"
          ? { seq: start }
          : { start_time: new Date(Math.max(0, start.sinceMs)).toISOString() };
      const data = encode({ ...from, next_by_subj: filter, batch: countMax, max_bytes: pageBytesMax });
      const replies = await requests.askMany(
        { subject: `$JS.API.DIRECT.GET.${stream}`, data, giveUpAtMs: giveUpAtMs() },
        isEnd,
      );
      return replies.flatMap((reply) => toFound(reply) ?? []);
    },
    async lastSequence(stream, filters) {
      const replies = await requests.askMany(
        {
          subject: `$JS.API.DIRECT.GET.${stream}`,
          data: encode({ multi_last: filters }),
          giveUpAtMs: giveUpAtMs(),
        },
        isEnd,
      );
      return Math.max(0, ...replies.map((reply) => toFound(reply)?.sequence ?? 0));
    },
  };
}

/** 204 "EOB" ends a page; 404 means that there is nothing from there on. */
const isEnd = ({ headers }: Reply) => headers !== undefined && headers.code >= 204;

function toFound({ data, headers }: Reply): Found | undefined {
  if (headers === undefined) throw new StreamError(500, 0, "a direct get was answered without headers");
  if (headers.code === 404) return undefined;
  if (headers.code !== 0) throw new StreamError(headers.code, 0, headers.description);
  return {
    // The last of each is the server's word on this message.
    subject: headers.last("Nats-Subject"),
    sequence: Number(headers.last("Nats-Sequence")),
    data,
    headers,
    isStrayAnswer: headers.values("Nats-Stream").length > 1,
  };
}
