/**
 * Questions to JetStream and their answers over one subscription. A question is asked again after a reconnect, after
 * `tryMs` of silence and when nobody listens yet, until its deadline: so all of them must be harmless to repeat.
 * One timer serves them all; at thousands of publishes a second a timer each would cost more than the publish.
 */
import { Failure } from "@tyto/contracts";
import { type Msg, type MsgHdrs, nuid } from "nats";
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

export const createRequests = (link: Link): Requests => new OpenRequests(link);

class OpenRequests implements Requests {
  readonly #link: Link;
  readonly #inbox: string;
  readonly #waiting = new Map<string, Waiting>();
  readonly #idle = new Set<() => void>();
  readonly #sweep: ReturnType<typeof setInterval>;
  readonly #forgetListeners: readonly (() => void)[];
  #count = 0;

  constructor(link: Link) {
    this.#link = link;
    this.#inbox = `${link.inbox}.${nuid.next()}`;
    link.nats.subscribe(`${this.#inbox}.*`, {
      callback: (error, message) => {
        if (error === null) this.#hear(message);
      },
    });
    this.#forgetListeners = [
      link.onReconnect(() => this.#sendAll()),
      link.onDisconnect(() => this.#interrupt()),
      link.onDenied((subject) => this.#deny(subject)),
    ];
    this.#sweep = setInterval(() => this.#lookAtTimes(), sweepMs);
    this.#sweep.unref();
  }

  ask(question: Question): Promise<Reply> {
    return new Promise((resolve, reject) => {
      const take = (reply: Reply) => {
        resolve(reply);
        return "settled" as const;
      };
      this.#enter(question, take, reject);
    });
  }

  askJson<T>(question: Question): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const take = (reply: Reply) => {
        const answer = decode(reply.data) as T & { error?: ApiError };
        const { error } = answer;
        if (error === undefined) resolve(answer);
        else if (isTemporary(error)) return "again" as const;
        else reject(new StreamError(error.code, error.err_code ?? 0, error.description ?? "refused"));
        return "settled" as const;
      };
      this.#enter(question, take, reject);
    });
  }

  askMany(question: Question, isLast: (reply: Reply) => boolean): Promise<Reply[]> {
    return new Promise((resolve, reject) => {
      const replies: Reply[] = [];
      const take = (reply: Reply) => {
        if (!isLast(reply)) {
          replies.push(reply);
          return "more" as const;
        }
        resolve(replies);
        return "settled" as const;
      };
      this.#enter({ ...question, once: true }, take, reject);
    });
  }

  whenIdle(): Promise<void> {
    return this.#waiting.size === 0
      ? Promise.resolve()
      : new Promise((resolve) => void this.#idle.add(resolve));
  }

  stop(): void {
    clearInterval(this.#sweep);
    for (const forget of this.#forgetListeners) forget();
    for (const [token, entry] of this.#waiting)
      this.#fail(token, entry, new Failure("upstream.down", "the bus is closed"));
  }

  #enter(question: Question, take: Waiting["take"], fail: Waiting["fail"]) {
    if (this.#link.nats.isClosed()) return fail(new Failure("upstream.down", "the bus is closed"));
    if (this.#waiting.size >= waitingMax)
      return fail(new Failure("upstream.down", `more than ${waitingMax} unanswered requests to NATS`));
    const token = (++this.#count).toString(36);
    const entry: Waiting = { question, nextTryAtMs: 0, take, fail };
    this.#waiting.set(token, entry);
    if (this.#link.isConnected()) this.#send(token, entry);
    else if (question.once) this.#fail(token, entry, new Interrupted(question.subject));
  }

  #send(token: string, entry: Waiting): void {
    const { subject, data, headers } = entry.question;
    entry.nextTryAtMs = Date.now() + tryMs;
    try {
      const reply = `${this.#inbox}.${token}`;
      this.#link.publish(subject, data ?? empty, { reply, ...(headers && { headers }) });
    } catch (error) {
      this.#fail(token, entry, new Failure("upstream.down", `cannot ask ${subject}`, { cause: error }));
    }
  }

  #hear(message: Msg): void {
    const token = message.subject.slice(this.#inbox.length + 1);
    const entry = this.#waiting.get(token);
    if (entry === undefined) return;
    const isUnheard = message.headers?.code === 503 && message.data.length === 0;
    const taken = isUnheard ? "again" : entry.take({ data: message.data, headers: message.headers });
    if (taken === "settled") this.#settle(token);
    else if (taken === "again") {
      if (entry.question.once) this.#fail(token, entry, new Interrupted(entry.question.subject));
      else entry.nextTryAtMs = Date.now() + againMs;
    }
  }

  #settle(token: string): void {
    this.#waiting.delete(token);
    if (this.#waiting.size > 0) return;
    for (const wake of this.#idle) wake();
    this.#idle.clear();
  }

  #fail(token: string, entry: Waiting, error: Error): void {
    this.#settle(token);
    entry.fail(error);
  }

  /** Asks again what a reconnect may have lost. */
  #sendAll(): void {
    for (const [token, entry] of this.#waiting) this.#send(token, entry);
  }

  #interrupt(): void {
    for (const [token, entry] of this.#waiting)
      if (entry.question.once) this.#fail(token, entry, new Interrupted(entry.question.subject));
  }

  #deny(subject: string): void {
    for (const [token, entry] of this.#waiting)
      if (entry.question.subject === subject)
        this.#fail(token, entry, new Failure("internal", `this NATS user may not publish to ${subject}`));
  }

  #lookAtTimes(): void {
    const nowMs = Date.now();
    for (const [token, entry] of this.#waiting) {
      const { question } = entry;
      if (nowMs >= question.giveUpAtMs) this.#fail(token, entry, unanswered(question));
      else if (nowMs >= entry.nextTryAtMs && this.#link.isConnected()) {
        if (question.once) this.#fail(token, entry, new Interrupted(question.subject));
        else this.#send(token, entry);
      }
    }
  }
}

const unanswered = ({ once, subject }: Question) =>
  once ? new Interrupted(subject) : new Failure("upstream.down", `NATS did not answer ${subject} in time`);

type ApiError = { code: number; err_code?: number; description?: string };

/** No room: waiting does not help the caller. 10023 resources, 10028 storage, 10047 store, 10077 stream limit. */
const fullCodes = new Set([10023, 10028, 10047, 10077]);

export const isFull = (error: StreamError) => fullCodes.has(error.errorCode);

/** In a cluster: another message at the same place is on its way and may come to nothing. Asked again, it is settled. */
const wrongLastSequenceInFlight = 10_164;

/** JetStream is starting, electing or not sure yet: the same question is answered in a moment. */
const isTemporary = ({ code, err_code = 0 }: ApiError) =>
  (code === 503 && !fullCodes.has(err_code)) || err_code === wrongLastSequenceInFlight;
