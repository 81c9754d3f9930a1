/** Where bytes become contracts: nothing passes that its schema does not know. */
import {
  type BucketName,
  type BucketValue,
  buckets,
  events,
  Failure,
  isSubject,
  type Payload,
  QueueEntry,
  type StoredEvent,
  type Subject,
} from "@tyto/contracts";
import type { MsgHdrs } from "nats";
import type { Found } from "./direct/direct.ts";
import { linesOf } from "./packs.ts";
import { encode } from "./requests.ts";

type Issues = { issues: readonly { path: readonly PropertyKey[]; message: string }[] };

const problemsMax = 5;
const explain = ({ issues }: Issues) =>
  issues
    .slice(0, problemsMax)
    .map(({ path, message }) => `${path.map(String).join(".") || "payload"}: ${message}`)
    .join("; ");

export type Read<T> = { ok: true; value: T } | { ok: false; problem: string };

const decoder = new TextDecoder("utf-8", { fatal: true });

function readJson(data: Uint8Array): Read<unknown> {
  try {
    return { ok: true, value: JSON.parse(decoder.decode(data)) };
  } catch (error) {
    return { ok: false, problem: `not JSON: ${error instanceof Error ? error.message : String(error)}` };
  }
}

export type Schema = {
  safeParse(value: unknown): { success: true; data: unknown } | { success: false; error: Issues };
};

/** Bytes as a value that keeps its contract. */
export function read<T>(schema: Schema, data: Uint8Array): Read<T> {
  const json = readJson(data);
  if (!json.ok) return json;
  const parsed = schema.safeParse(json.value);
  return parsed.success
    ? { ok: true, value: parsed.data as T }
    : { ok: false, problem: explain(parsed.error) };
}

/** A message of a stream, as a consumer got it. */
export type Arrived = { subject: string; data: Uint8Array; headers: MsgHdrs | undefined };

/**
 * True for the server's answer to a direct get. A user may name any subject for the answer, whatever it may publish
 * there: so what one service has stored in its bucket could come out as an event of another.
 */
const isStrayAnswer = ({ headers }: Arrived) => headers?.has("Nats-Stream") ?? false;
const strayAnswer = { ok: false, problem: "it is the answer to a read, not something published" } as const;

/** The events of a message as they came, line by line: the subject decides which contract holds. */
export function readEvents(arrived: Arrived): { line: Uint8Array; event: Read<StoredEvent> }[] {
  const { subject, data } = arrived;
  if (isStrayAnswer(arrived)) return [{ line: data, event: strayAnswer }];
  return linesOf(data).map((line) => ({ line, event: readPayload(subject, line) }));
}

function readPayload(subject: string, data: Uint8Array): Read<StoredEvent> {
  if (!isSubject(subject)) return { ok: false, problem: `no contract has the subject ${subject}` };
  const payload = read<StoredEvent["payload"]>(events[subject], data);
  return payload.ok ? { ok: true, value: { subject, payload: payload.value } as StoredEvent } : payload;
}

/** The same from a stored message that was read directly. */
export const readFound = ({ subject, data, isStrayAnswer }: Found): Read<StoredEvent>[] =>
  isStrayAnswer ? [strayAnswer] : linesOf(data).map((line) => readPayload(subject, line));

/** The queue entries of a message, line by line. */
export function readEntries(arrived: Arrived): { line: Uint8Array; entry: Read<QueueEntry> }[] {
  if (isStrayAnswer(arrived)) return [{ line: arrived.data, entry: strayAnswer }];
  return linesOf(arrived.data).map((line) => ({ line, entry: read(QueueEntry, line) }));
}

export const readValue = <B extends BucketName>(bucket: B, found: Found): Read<BucketValue<B>> =>
  found.isStrayAnswer ? strayAnswer : read(buckets[bucket].value, found.data);

/** Bytes of a value that keeps its contract. Throws Failure `internal`: the caller has a bug. */
export function write(schema: Schema, what: string, value: unknown): Uint8Array {
  const parsed = schema.safeParse(value);
  if (!parsed.success) throw new Failure("internal", `${what} breaks its contract: ${explain(parsed.error)}`);
  return encode(parsed.data);
}

export const writeEvent = <S extends Subject>(subject: S, payload: Payload<S>): Uint8Array =>
  write(events[subject], subject, payload);
export const writeEntry = (entry: QueueEntry): Uint8Array => write(QueueEntry, "queue entry", entry);
export const writeValue = <B extends BucketName>(bucket: B, value: BucketValue<B>): Uint8Array =>
  write(buckets[bucket].value, bucket, value);

/** One token of a subject. Throws Failure `internal` for what would split or widen it. */
export function token(text: string): string {
  if (!/^[^\s.*>\p{Cc}]+$/u.test(text))
    throw new Failure("internal", `${JSON.stringify(text)} is not a subject token`);
  return text;
}
