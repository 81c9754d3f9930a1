import { done, type Verdict } from "@tyto/bus";
import {
  type AcceptedMessage,
  deliveryId,
  type Payload,
  type QueueEntry,
  suppressionKey,
} from "@tyto/contracts";

/** The outside world, as intake needs it. */
export type IntakePorts = {
  isSuppressed(key: string): Promise<boolean>;
  publish(subject: "mail.suppressed", payload: Payload<"mail.suppressed">): Promise<void>;
  queue(entries: readonly QueueEntry[], notBeforeMs: number | undefined): Promise<void>;
  now: () => number;
};

/**
 * Turns an accepted message into one queue entry per recipient, all or none. Repeating it is harmless: entries that
 * are still queued are left alone, and an attempt that is over is known to ATTEMPTS.
 */
export const intake =
  ({ isSuppressed, publish, queue, now }: IntakePorts) =>
  async (message: AcceptedMessage): Promise<Verdict> => {
    const entries = entriesOf(message);
    const suppressed = await Promise.all(
      entries.map(({ recipient }) => isSuppressed(suppressionKey(recipient))),
    );
    await Promise.all(
      entries
        .filter((_, index) => suppressed[index])
        .map((entry) => publish("mail.suppressed", suppression(entry, now()))),
    );
    const wanted = entries.filter((_, index) => !suppressed[index]);
    if (wanted.length > 0) await queue(wanted, laterThan(message.scheduledAt, now()));
    return done;
  };

/** A time that has passed is now. */
const laterThan = (atMs: number | undefined, nowMs: number) =>
  atMs !== undefined && atMs > nowMs ? atMs : undefined;

export function entriesOf(message: AcceptedMessage): QueueEntry[] {
  const { messageId, organizationId, from, domain, bodyBytes, bodyChunks, scheduledAt, expiresAt } = message;
  const { unsubscribe } = message;
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
    recipients: message.recipients.length,
    acceptedAt: message.at,
    ...(scheduledAt === undefined ? {} : { scheduledAt }),
    ...(unsubscribe === undefined ? {} : { unsubscribe }),
    expiresAt,
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
