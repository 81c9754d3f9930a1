import { type Arrival, done, retry, type Verdict } from "@tyto/bus";
import {
  type AcceptedMessage,
  deliveryId,
  type Payload,
  type QueueEntry,
  suppressionKey,
} from "@tyto/contracts";
import { places } from "@tyto/service";
import type { Done } from "./deliver.ts";
import type { PastOutcomes } from "./past.ts";

/** The outside world, as intake needs it. */
export type IntakePorts = {
  isSuppressed(key: string): Promise<boolean>;
  publish(subject: "mail.suppressed", payload: Payload<"mail.suppressed">): Promise<void>;
  /** Stores entries that come now, or at `atMs`. */
  queue(entries: readonly QueueEntry[], atMs?: number): Promise<void>;
  /** First attempts right now; what has to wait, it puts into the queue. */
  sendAtOnce(entries: readonly QueueEntry[]): Promise<Done[]>;
  past(message: AcceptedMessage, untilSequence: number): Promise<PastOutcomes>;
  now: () => number;
};

/** Recipients of accepted messages that are on their way past the queue at a time. */
const recipientsMax = 4_000;

/**
 * Sends an accepted message, or queues it. A message that nobody can have had before goes out at once, and the queue
 * sees only recipients who have to wait. One that may have been here before (a process or the server died) is never sent
 * from here: recipients whose outcome is stored are left alone, the others take the way through the queue, where each
 * attempt is looked up before it is made.
 */
export function intake(ports: IntakePorts) {
  // A message may have many recipients, and the bus counts messages.
  const onTheirWay = places(recipientsMax);
  return async (message: AcceptedMessage, arrival: Pick<Arrival, "earlierUntil">): Promise<Verdict> => {
    const giveBack = await onTheirWay.take(message.recipients.length);
    try {
      return await take(ports, message, arrival);
    } finally {
      giveBack();
    }
  };
}

async function take(
  ports: IntakePorts,
  message: AcceptedMessage,
  arrival: Pick<Arrival, "earlierUntil">,
): Promise<Verdict> {
  const { queue, now } = ports;
  const wanted = await unsuppressed(ports, entriesOf(message));
  const earlierUntil = message.isRepeat ? Number.POSITIVE_INFINITY : arrival.earlierUntil;
  if (earlierUntil !== undefined) {
    const past = await ports.past(message, earlierUntil);
    await putBack(ports, wanted, past);
    await queue(
      wanted.filter(({ deliveryId: id }) => !past.has(id)),
      laterThan(message.scheduledAt, now()),
    );
    return done;
  }
  // Until its time a scheduled message may be cancelled; the queue looks at that.
  if (message.scheduledAt !== undefined) {
    await queue(wanted, laterThan(message.scheduledAt, now()));
    return done;
  }
  const results = await ports.sendAtOnce(wanted);
  return results.includes("interrupted") ? retry(0, "the service stops") : done;
}

async function unsuppressed(
  { isSuppressed, publish, now }: IntakePorts,
  entries: readonly QueueEntry[],
): Promise<QueueEntry[]> {
  const suppressed = await Promise.all(
    entries.map(({ recipient }) => isSuppressed(suppressionKey(recipient))),
  );
  await Promise.all(
    entries
      .filter((_, index) => suppressed[index])
      .map((entry) => publish("mail.suppressed", suppression(entry, now()))),
  );
  return entries.filter((_, index) => !suppressed[index]);
}

/** A first attempt failed, and whoever made it may have died before the second one was scheduled. */
async function putBack(
  { queue }: IntakePorts,
  entries: readonly QueueEntry[],
  past: PastOutcomes,
): Promise<void> {
  for (const entry of entries) {
    const outcome = past.get(entry.deliveryId);
    if (outcome?.attempt === 1 && outcome.nextAttemptAt !== undefined)
      await queue([{ ...entry, attempt: 2 }], outcome.nextAttemptAt);
  }
}

/** A time that has passed is now. */
const laterThan = (atMs: number | undefined, nowMs: number) =>
  atMs !== undefined && atMs > nowMs ? atMs : undefined;

/** The first attempt for each recipient, in the order of the message. */
export function entriesOf(message: AcceptedMessage): QueueEntry[] {
  const { messageId, organizationId, from, domain, bodyBytes, bodyChunks, bodyPack, scheduledAt, expiresAt } =
    message;
  const { traceparent, unsubscribe, traffic, campaign, requireTls } = message;
  return message.recipients.map(({ address }, index) => ({
    deliveryId: deliveryId(messageId, index),
    messageId,
    organizationId,
    recipient: address,
    from,
    domain,
    attempt: 1,
    bodyBytes,
    bodyChunks,
    ...(bodyPack === undefined ? {} : { bodyPack }),
    recipients: message.recipients.length,
    acceptedAt: message.at,
    ...(scheduledAt === undefined ? {} : { scheduledAt }),
    ...(unsubscribe === undefined ? {} : { unsubscribe }),
    ...(traffic === undefined ? {} : { traffic }),
    ...(campaign === undefined ? {} : { campaign }),
    ...(requireTls === undefined ? {} : { requireTls }),
    expiresAt,
    ...(traceparent === undefined ? {} : { traceparent }),
  }));
}

const suppression = (entry: QueueEntry, nowMs: number): Payload<"mail.suppressed"> => ({
  id: `${entry.deliveryId}.${entry.attempt}.suppressed`,
  at: nowMs,
  organizationId: entry.organizationId,
  messageId: entry.messageId,
  deliveryId: entry.deliveryId,
  recipient: entry.recipient,
});
