/** How messages get to the server: one by itself, or many as one atomic batch. */
import { Failure } from "@tyto/contracts";
import { nuid } from "nats";
import type { Headers, Link } from "../link.ts";
import { Interrupted, isFull, type Requests, StreamError } from "../requests.ts";
import type { Message, Stored } from "./store.ts";

export type StoringParts = { link: Link; requests: Requests };

/** The messages of one caller: all of them are stored or none, and then the caller is told. */
export type Unit = {
  messages: readonly Message[];
  bytes: number;
  giveUpAtMs: number;
  resolve(): void;
  reject(error: unknown): void;
};

/** JetStream's "atomic publish batch is incomplete". */
const batchIncomplete = 10_176;

const toPublic = (error: unknown): unknown =>
  error instanceof StreamError && isFull(error)
    ? new Failure("storage.full", error.message, { cause: error })
    : error;

export async function storeOne(requests: Requests, message: Message, giveUpAtMs: number): Promise<Stored> {
  try {
    return await requests.askJson<Stored>({ ...message, giveUpAtMs });
  } catch (error) {
    throw toPublic(error);
  }
}

/** Several callers' messages at once. Whatever goes wrong with the whole is settled caller by caller. */
export async function storeUnits(parts: StoringParts, units: readonly Unit[]): Promise<void> {
  const [only] = units;
  if (units.length === 1 && only !== undefined) return settle(parts, only);
  try {
    await storeAtomically(
      parts,
      units.flatMap((unit) => unit.messages),
      Math.min(...units.map((unit) => unit.giveUpAtMs)),
    );
  } catch {
    // Interrupted, or one message was refused (a repeated id refuses its whole batch): nobody is answered yet.
    await Promise.all(units.map((unit) => settle(parts, unit)));
    return;
  }
  for (const unit of units) unit.resolve();
}

async function settle(parts: StoringParts, unit: Unit): Promise<void> {
  try {
    await storeUnit(parts, unit);
    unit.resolve();
  } catch (error) {
    unit.reject(error);
  }
}

/** All or none of one caller's messages; a batch that met a disconnect is repeated, its ids keep it from doubling. */
async function storeUnit(parts: StoringParts, { messages, giveUpAtMs }: Unit): Promise<void> {
  const [only] = messages;
  if (messages.length === 1 && only !== undefined)
    return void (await storeOne(parts.requests, only, giveUpAtMs));
  for (;;) {
    try {
      return await storeAtomically(parts, messages, giveUpAtMs);
    } catch (error) {
      if (!(error instanceof Interrupted)) throw toPublic(error);
      if (Date.now() >= giveUpAtMs) throw new Failure("upstream.down", error.message, { cause: error });
    }
  }
}

/** One atomic batch. Throws StreamError when refused, Interrupted when its fate is unknown. */
async function storeAtomically(
  { link, requests }: StoringParts,
  messages: readonly Message[],
  giveUpAtMs: number,
): Promise<void> {
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
}
