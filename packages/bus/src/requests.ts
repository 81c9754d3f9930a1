/**
 * Questions to JetStream and their answers over one subscription. A question is asked again after a reconnect, after
 * `tryMs` of silence and when nobody listens yet, until its deadline: so all of them must be harmless to repeat.
 * One timer serves them all; at thousands of publishes a second a timer each would cost more than the publish.
 */
import { Failure } from "@tyto/contracts";
import { type MsgHdrs, nuid } from "nats";
import type { Headers, Link } from "./link.ts";

export type Reply = { data: Uint8Array; headers: MsgHdrs | undefined };

/** JetStream's refusal, such as 400/10071 "wrong last sequence". */
export class StreamError extends Error {
  readonly code: number;
  readonly errorCode: number;
  constructor(code: number, errorCode: number, description: string) {
    super(`${description} (${code}/${errorCode})`);
    this.name = "StreamError";
    this.code = code;
    this.errorCode = errorCode;
  }
}

/** JetStream's "wrong last sequence": something is at this subject already. */
export const wrongLastSequence = 10_071;

/** A question that may not be repeated got no answer: it may have been heard or not. */
export class Interrupted extends Error {
  constructor(subject: string) {
    super(`no answer from ${subject}`);
    this.name = "Interrupted";
  }
}

export type Requests = {
  /** The first answer, as it is. Throws Failure `upstream.down` at `giveUpAtMs`, or Interrupted when `once` is set. */
  ask(question: Question): Promise<Reply>;
  /** The answer as JSON. Throws StreamError for a refusal that is not a matter of waiting. */
  askJson<T>(question: Question): Promise<T>;
  /** All answers up to the one that `isLast`, which is not among them. Never repeated by itself: throws Interrupted. */
  askMany(question: Question, isLast: (reply: Reply) => boolean): Promise<Reply[]>;
  /** Resolves when every question is answered or given up. */
  whenIdle(): Promise<void>;
  stop(): void;
};

export type Question = {
  subject: string;
  data?: Uint8Array | undefined;
  headers?: Headers | undefined;
  giveUpAtMs: number;
  once?: boolean;
};

type Waiting = {
  question: Question;
  nextTryAtMs: number;
  /** Tells whether the answer settles the question, or has to be asked again in a moment. */
  take(reply: Reply): "settled" | "more" | "again";
  fail(error: Error): void;
};

/** Silence after which a question is asked again: well above the slowest fsync, well below a deadline. */
const tryMs = 3_000;
const againMs = 100;
const sweepMs = 50;
const waitingMax = 50_000;

const empty = new Uint8Array();
const encoder = new TextEncoder();
const decoder = new TextDecoder();
export const encode = (value: unknown): Uint8Array => encoder.encode(JSON.stringify(value));
export const decode = (data: Uint8Array): unknown => JSON.parse(decoder.decode(data));

export function createRequests(link: Link): Requests {
  const inbox = `${link.inbox}.${nuid.next()}`;
  const waiting = new Map<string, Waiting>();
  const idle = new Set<() => void>();
  let count = 0;

  const settle = (token: string) => {
    waiting.delete(token);
    if (waiting.size === 0) {
      for (const wake of idle) wake();
      idle.clear();
    }
  };
  const send = (token: string, entry: Waiting) => {
    const { subject, data, headers } = entry.question;
    entry.nextTryAtMs = Date.now() + tryMs;
    try {
      link.publish(subject, data ?? empty, { reply: `${inbox}.${token}`, ...(headers && { headers }) });
    } catch (error) {
      give(token, entry, new Failure("upstream.down", `cannot ask ${subject}`, { cause: error }));
    }
  };
  const give = (token: string, entry: Waiting, error: Error) => {
    settle(token);
    entry.fail(error);
  };

  link.nats.subscribe(`${inbox}.*`, {
    callback(error, message) {
      if (error !== null) return;
      const token = message.subject.slice(inbox.length + 1);
      const entry = waiting.get(token);
      if (entry === undefined) return;
      const isUnheard = message.headers?.code === 503 && message.data.length === 0;
      const taken = isUnheard ? "again" : entry.take({ data: message.data, headers: message.headers });
      if (taken === "settled") settle(token);
      else if (taken === "again") {
        if (entry.question.once) give(token, entry, new Interrupted(entry.question.subject));
        else entry.nextTryAtMs = Date.now() + againMs;
      }
    },
  });

  const forgetListeners = [
    link.onReconnect(() => {
      for (const [token, entry] of waiting) send(token, entry);
    }),
    link.onDisconnect(() => {
      for (const [token, entry] of waiting)
        if (entry.question.once) give(token, entry, new Interrupted(entry.question.subject));
    }),
    link.onDenied((subject) => {
      for (const [token, entry] of waiting)
        if (entry.question.subject === subject)
          give(token, entry, new Failure("internal", `this NATS user may not publish to ${subject}`));
    }),
  ];

  const sweep = setInterval(() => {
    const nowMs = Date.now();
    for (const [token, entry] of waiting) {
      const { question } = entry;
      if (nowMs >= question.giveUpAtMs)
        give(
          token,
          entry,
          question.once
            ? new Interrupted(question.subject)
            : new Failure("upstream.down", `NATS did not answer ${question.subject} in time`),
        );
      else if (nowMs >= entry.nextTryAtMs && link.isConnected()) {
        if (question.once) give(token, entry, new Interrupted(question.subject));
        else send(token, entry);
      }
    }
  }, sweepMs);
  sweep.unref();

  const enter = (question: Question, take: Waiting["take"], fail: Waiting["fail"]) => {
    if (waiting.size >= waitingMax || link.nats.isClosed())
      return fail(
        new Failure(
          "upstream.down",
          link.nats.isClosed() ? "the bus is closed" : `more than ${waitingMax} unanswered requests to NATS`,
        ),
      );
    const token = (++count).toString(36);
    const entry: Waiting = { question, nextTryAtMs: 0, take, fail };
    waiting.set(token, entry);
    if (link.isConnected()) send(token, entry);
    else if (question.once) give(token, entry, new Interrupted(question.subject));
  };

  return {
    ask: (question) =>
      new Promise((resolve, reject) => {
        const take = (reply: Reply) => {
          resolve(reply);
          return "settled" as const;
        };
        enter(question, take, reject);
      }),
    askJson: <T>(question: Question) =>
      new Promise<T>((resolve, reject) => {
        const take = (reply: Reply) => {
          const answer = decode(reply.data) as T & { error?: ApiError };
          const { error } = answer;
          if (error === undefined) resolve(answer);
          else if (isTemporary(error)) return "again" as const;
          else reject(new StreamError(error.code, error.err_code ?? 0, error.description ?? "refused"));
          return "settled" as const;
        };
        enter(question, take, reject);
      }),
    askMany: (question, isLast) =>
      new Promise((resolve, reject) => {
        const replies: Reply[] = [];
        const take = (reply: Reply) => {
          if (!isLast(reply)) {
            replies.push(reply);
            return "more" as const;
          }
          resolve(replies);
          return "settled" as const;
        };
        enter({ ...question, once: true }, take, reject);
      }),
    whenIdle: () =>
      waiting.size === 0 ? Promise.resolve() : new Promise<void>((resolve) => void idle.add(resolve)),
    stop() {
      clearInterval(sweep);
      for (const forget of forgetListeners) forget();
      for (const [token, entry] of waiting)
        give(token, entry, new Failure("upstream.down", "the bus is closed"));
    },
  };
}

type ApiError = { code: number; err_code?: number; description?: string };

/** No room: waiting does not help the caller. 10023 resources, 10028 storage, 10047 store, 10077 stream limit. */
const fullCodes = new Set([10023, 10028, 10047, 10077]);

export const isFull = (error: StreamError) => fullCodes.has(error.errorCode);

/** In a cluster: another message at the same place is on its way and may come to nothing. Asked again, it is settled. */
const wrongLastSequenceInFlight = 10_164;

/** JetStream is starting, electing or not sure yet: the same question is answered in a moment. */
const isTemporary = ({ code, err_code = 0 }: ApiError) =>
  (code === 503 && !fullCodes.has(err_code)) || err_code === wrongLastSequenceInFlight;
