/**
 * The bus as services see it. Everything is typed by @tyto/contracts; a payload that breaks its contract never reaches
 * a handler. Only the bus acknowledges: handlers return a verdict.
 */
import type {
  BucketName,
  BucketValue,
  ControlAnswer,
  ControlName,
  ControlRequest,
  controls,
  Payload,
  QueueEntry,
  StoredEvent,
  Subject,
} from "@tyto/contracts";

/** What a handler decided. Only the bus turns this into ack, nak, a schedule or a dead letter. */
export type Verdict =
  | { kind: "done" }
  /** Try again after a short wait (at most 60 s: the message occupies a place in `ackPendingMax` until then). */
  | { kind: "retry"; afterMs: number; reason: string }
  /** Never again: the message goes to the stream DEAD with the reason. */
  | { kind: "reject"; reason: string };

export const done: Verdict = { kind: "done" };
export const retry = (afterMs: number, reason: string): Verdict => ({ kind: "retry", afterMs, reason });
export const reject = (reason: string): Verdict => ({ kind: "reject", reason });

/** What the bus knows about one arrival of a message. */
export type Arrival = {
  /** 1 for the first time; more after a crash, a retry or a missed acknowledgement. */
  times: number;
  /** Position in the stream; unique for its life. */
  sequence: number;
  storedAtMs: number;
  /**
   * Set when the message may have been handled before, here or elsewhere: what came of that was stored at or below this
   * position. Told by the queue, and by `consume` with `tellsEarlier`; absent means that nobody has had the message yet.
   */
  earlierUntil?: number;
};

export type Handlers<S extends Subject> = {
  [K in S]: (payload: Payload<K>, arrival: Arrival) => Promise<Verdict>;
};

/** A running consumer. `stop` takes no new messages and resolves when those in hand are settled. */
export type Consumption = { stop(): Promise<void> };

export type Bus = {
  /**
   * Stores the event, or throws Failure `upstream.down` after `publishMs` of trying. The payload's `id` makes a repeat
   * a no-op inside the stream's duplicate window.
   */
  publish<S extends Subject>(subject: S, payload: Payload<S>): Promise<void>;
  /** The same for many events of one caller, which share messages. The same list again is a no-op as a whole. */
  publishAll<S extends Subject>(subject: S, payloads: readonly Payload<S>[]): Promise<void>;
  /**
   * The same for events that share messages with those of other callers. A repeat is stored again: for subjects whose
   * consumers know events by their id.
   */
  publishPacked<S extends Subject>(subject: S, payload: Payload<S>): Promise<void>;
  /** Calls the handler of each message's subject; many at a time, as many as the durable's `ackPendingMax` and `concurrency` allow. */
  consume<S extends Subject>(
    durable: string,
    handlers: Handlers<S>,
    options?: {
      /** Events in hand at a time; as many more are held. */
      concurrency?: number;
      /** The same as JSON: a large event takes the places of several. */
      bytesMax?: number;
      tellsEarlier?: boolean;
    },
  ): Promise<Consumption>;
  /**
   * Reads stored events of `subjects` again: those stored from `sinceMs` on, up to `untilSequence` or else to the end as it
   * is at the moment; those of one subject in their order. Throws Failure `upstream.down`.
   */
  past<S extends Subject>(
    subjects: readonly S[],
    range: { sinceMs: number; untilSequence: number },
    onEvent: (event: Extract<StoredEvent, { subject: S }>) => void,
  ): Promise<void>;
  /**
   * Hands over up to `batchMax` events in stream order at a time. The handler returns one verdict for all of them, or
   * a list with one for each in the same order, so that one bad event can be rejected without the rest. After a
   * handler threw, the next try waits at most `throwWaitMsMax` (10 s).
   * A batch waits `waitMs` to fill; when a twentieth of it came in that time it waits `flowWaitMs` in all, since who is
   * told of many does not look at each, and large batches cost less per event.
   */
  consumeBatches(
    durable: string,
    options: { batchMax: number; waitMs: number; flowWaitMs?: number; throwWaitMsMax?: number },
    handler: (
      batch: readonly { event: StoredEvent; arrival: Arrival }[],
    ) => Promise<Verdict | readonly Verdict[]>,
  ): Promise<Consumption>;
  bodies: Bodies;
  raw: Bodies;
  queue: Queue;
  bucket<B extends BucketName>(name: B): Bucket<B>;
  /** Counts one more under `key` in the current window of `windowMs` and tells the count, for rate limits. */
  count(key: string, windowMs: number, add?: number): Promise<number>;
  control: Control;
  /** False while the connection is down. */
  isConnected(): boolean;
  /** Durables that are consumed here and that the server does not serve: JetStream is starting, or nobody has made them. */
  durablesRefused(): string[];
  /** Stops consumers, lets handlers in hand finish (at most `drainMs`), flushes and disconnects. */
  drain(): Promise<void>;
};

type Controls = typeof controls;
export type OneControl = {
  [C in ControlName]: Controls[C]["answeredBy"] extends "one" ? C : never;
}[ControlName];
export type AllControl = Exclude<ControlName, OneControl>;

/** Questions to running processes and their answers; nothing of it is stored. Both ends check the contract. */
export type Control = {
  /**
   * What one process answers. Throws the Failure that it answered with, or `upstream.down` when no process runs or none
   * answers within the control's `answerMsMax`.
   */
  ask<C extends OneControl>(control: C, request: ControlRequest<C>): Promise<ControlAnswer<C>>;
  /**
   * What every running process answers: those that are heard of within `hearMs` (300), or the first one later, and those that
   * answered within the last minute. `silent` of them did not answer in time. Throws Failure when all that answered did so
   * with a Failure.
   */
  askAll<C extends AllControl>(
    control: C,
    request: ControlRequest<C>,
  ): Promise<{ answers: ControlAnswer<C>[]; silent: number }>;
  /** Answers as they come, until the signal or the control's `answerMsMax`. Resolves at the end. */
  follow<C extends AllControl>(
    control: C,
    request: ControlRequest<C>,
    onAnswer: (answer: ControlAnswer<C>) => void,
    signal: AbortSignal,
  ): Promise<void>;
  /** Answers from now on, several questions at a time; a throw is told to whoever asked. */
  answer<C extends ControlName>(
    control: C,
    handler: (request: ControlRequest<C>) => Promise<ControlAnswer<C>>,
  ): { stop(): void };
  /** Says several answers to one question until `ended`: nobody listens any more, or it has lasted long enough. */
  answerOften<C extends AllControl>(
    control: C,
    handler: (
      request: ControlRequest<C>,
      say: (answer: ControlAnswer<C>) => void,
      ended: AbortSignal,
    ) => void,
  ): { stop(): void };
};

/** Large byte strings in parts of at most `partBytesMax`, in the stream BODY or RAW. */
export type Bodies = {
  /**
   * Stores several bodies as one part, which goes by itself after `packDaysMax` days if nobody drops it. Throws Failure
   * `internal` for more than `packBodyBytesMax` bytes in all.
   */
  putPack(id: string, bodies: readonly Uint8Array[]): Promise<void>;
  /**
   * Resolves with the number of parts when all are stored. Repeating it with the same id is harmless. A Blob (a file)
   * is read as it is stored, two parts at a time; `onPart` is told the size of each that is stored.
   */
  put(id: string, bytes: Uint8Array | Blob, onPart?: (bytes: number) => void): Promise<number>;
  /** Throws Failure `resource.unknown` when a part is gone. */
  get(id: string, parts: number): Promise<Uint8Array>;
  /** The same part by part, in order: what is large need not be in memory at once. */
  read(id: string, parts: number): AsyncGenerator<Uint8Array>;
  /** With `parts` it costs a third: parts of many bodies go together. */
  drop(id: string, parts?: number): Promise<void>;
};

/** The send queue, for the mta. */
export type Queue = {
  /**
   * Adds entries, now or as schedules that come at `atMs` or up to a minute later (a quarter of a second for short waits).
   * They share messages with what others add for the same place and time. After a crash an entry may stand there twice:
   * whoever sends it looks first whether it was sent.
   */
  add(entries: readonly QueueEntry[], atMs?: number): Promise<void>;
  /**
   * Hands over the entries of a message together; the verdict is about all of them. Up to `concurrency` entries are in
   * hand, and bulk mail never takes all of the places. Entries whose turn is far away are to be added anew for later, so
   * that they do not hold up what stands behind them. `settled` tells of one entry that is over, so that its place is free
   * while others of its message wait for their turn.
   */
  consume(
    options: { concurrency: number },
    handler: (entries: readonly QueueEntry[], arrival: Arrival, settled: () => void) => Promise<Verdict>,
  ): Promise<Consumption>;
  /**
   * What is stored, in its order: entries with `withEntries`, else summaries where messages have them. Some may be in hand, or
   * acknowledged a moment ago. Two pulls of memory however long the queue is. Throws Failure `upstream.down`.
   */
  scan: QueueScan;
  /** Takes a stored message out, with its schedule if it is one. Harmless when it is gone. */
  remove(scanned: Pick<Scanned, "sequence" | "subject">): Promise<void>;
  /** Messages of the queue: ready to be sent, and waiting for their time. Each holds one entry or many. */
  depth(): Promise<{ ready: number; later: number }>;
};

export type QueueScan = (options: {
  withEntries: boolean;
  /** Begins at this position. */
  fromSequence?: number;
}) => AsyncGenerator<Scanned>;

/** One message of the queue. */
export type Scanned = {
  sequence: number;
  subject: string;
  storedAtMs: number;
  /** Set while it waits for its time. */
  dueAtMs?: number;
  /** Where it will stand when its time has come. */
  targetSubject?: string;
  summary?: ScannedSummary;
  entries?: readonly QueueEntry[];
};

/** What the headers tell (`packHeaders` of the contracts). */
export type ScannedSummary = {
  entries: number;
  place: string;
  oldestAtMs?: number;
  /** Without an organization: those of all further owners. */
  shares: readonly { organization?: string; campaign?: string; entries: number }[];
};

export type Bucket<B extends BucketName> = {
  get(key: string): Promise<BucketValue<B> | undefined>;
  /** The same with its revision, for `update`; a removed key has one too, and no value. */
  find(key: string): Promise<{ value: BucketValue<B> | undefined; revision: number } | undefined>;
  put(key: string, value: BucketValue<B>): Promise<void>;
  /** True if the key was free and now holds the value. */
  create(key: string, value: BucketValue<B>): Promise<boolean>;
  delete(key: string): Promise<void>;
  /**
   * Puts the value (or, for `undefined`, removes the key) if the key is still at `revision`, as `watch` told it; 0 stands for a
   * key that never was. Tells the new revision, or `undefined` when somebody else was first. Throws Failure `upstream.down`
   * when it is not known whether it was stored.
   */
  update(key: string, value: BucketValue<B> | undefined, revision: number): Promise<number | undefined>;
  /** Calls back for every present value first, then for each change in its order; resolves when the present ones were delivered. */
  watch(
    onChange: (key: string, value: BucketValue<B> | undefined, revision: number) => void,
  ): Promise<{ stop(): void }>;
};
