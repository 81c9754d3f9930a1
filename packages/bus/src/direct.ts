/**
 * Reads from streams without a consumer: a direct get costs one round trip and leaves nothing behind on the server.
 *
 * In a cluster every replica answers direct gets, and one that lags behind answers that it has not what was stored a moment
 * ago. What must not be missed is asked of the stream's leader, which costs about three times as much.
 */
import { Failure } from "@tyto/contracts";
import { headers as createHeaders, type MsgHdrs } from "nats";
import { encode, Interrupted, type Reply, type Requests, StreamError } from "./requests.ts";

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

const pageBytesMax = 4_194_304;
/** A read that met a disconnect is repeated after this. */
const againMs = 100;

export function createDirect(requests: Requests, requestMs: number, isReplicated: () => boolean): Direct {
  const giveUpAtMs = () => Date.now() + requestMs;
  const ofLeader = async (stream: string, question: LeaderQuestion): Promise<LeaderMessage | undefined> => {
    try {
      const answer = await requests.askJson<{ message: LeaderMessage }>({
        subject: `$JS.API.STREAM.MSG.GET.${stream}`,
        data: encode(question),
        giveUpAtMs: giveUpAtMs(),
      });
      return answer.message;
    } catch (error) {
      if (error instanceof StreamError && error.errorCode === messageMissing) return undefined;
      throw error;
    }
  };
  const ofAny = (stream: string, subject: string) =>
    requests.ask({ subject: `$JS.API.DIRECT.GET.${stream}.${subject}`, giveUpAtMs: giveUpAtMs() });

  return {
    isReplicated,
    async last(stream, subject, { mayLag = false } = {}) {
      if (mayLag || !isReplicated()) return toFound(await ofAny(stream, subject));
      const message = await ofLeader(stream, { last_by_subj: subject });
      return message && fromLeader(message);
    },
    async lastOfEach(stream, subjects, { mayLag = false } = {}) {
      if (!mayLag && isReplicated()) {
        const messages = await Promise.all(
          subjects.map((subject) => ofLeader(stream, { last_by_subj: subject })),
        );
        return bySubject(messages.flatMap((message) => (message === undefined ? [] : fromLeader(message))));
      }
      const data = encode({ multi_last: subjects });
      for (const untilMs = giveUpAtMs(); ; ) {
        try {
          const replies = await requests.askMany(
            { subject: `$JS.API.DIRECT.GET.${stream}`, data, giveUpAtMs: untilMs },
            isEnd,
          );
          return bySubject(replies.flatMap((reply) => toFound(reply) ?? []));
        } catch (error) {
          if (!(error instanceof Interrupted)) throw error;
          if (Date.now() >= untilMs) throw new Failure("upstream.down", error.message, { cause: error });
          await Bun.sleep(againMs);
        }
      }
    },
    async next(stream, sequence, filter) {
      const question = { seq: sequence, next_by_subj: filter };
      if (isReplicated()) {
        const message = await ofLeader(stream, question);
        return message && fromLeader(message);
      }
      return toFound(
        await requests.ask({
          subject: `$JS.API.DIRECT.GET.${stream}`,
          data: encode(question),
          giveUpAtMs: giveUpAtMs(),
        }),
      );
    },
    async end(stream, filter) {
      if (isReplicated()) {
        const message = await ofLeader(stream, { last_by_subj: filter });
        return message && { sequence: message.seq, storedAtMs: Date.parse(message.time) };
      }
      const found = toFound(await ofAny(stream, filter));
      return (
        found && { sequence: found.sequence, storedAtMs: Date.parse(found.headers.last("Nats-Time-Stamp")) }
      );
    },
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
      if (isReplicated()) {
        const last = await Promise.all(filters.map((filter) => ofLeader(stream, { last_by_subj: filter })));
        return Math.max(0, ...last.map((message) => message?.seq ?? 0));
      }
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

/** JetStream's "no message found". */
const messageMissing = 10_037;

type LeaderQuestion = { last_by_subj: string } | { seq: number; next_by_subj: string };
/** `hdrs` and `data` are base64, and absent when empty; `hdrs` as they stand in the protocol. */
type LeaderMessage = { subject: string; seq: number; time: string; hdrs?: string; data?: string };

function fromLeader({ subject, seq, hdrs = "", data = "" }: LeaderMessage): Found {
  const headers = createHeaders();
  for (const line of Buffer.from(hdrs, "base64").toString().split("\r\n").slice(1)) {
    const colon = line.indexOf(":");
    if (colon > 0) headers.append(line.slice(0, colon), line.slice(colon + 1).trim());
  }
  return {
    subject,
    sequence: seq,
    data: Buffer.from(data, "base64"),
    headers,
    isStrayAnswer: headers.has("Nats-Stream"),
  };
}

const bySubject = (found: readonly Found[]) => new Map(found.map((one) => [one.subject, one]));

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
