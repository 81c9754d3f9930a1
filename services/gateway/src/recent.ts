/**
 * The messages this process accepted last, so that asking for one right after its 202 finds it although the recorder has
 * not brought it to Convex yet.
 */
import type { EmailDetail, Payload } from "@tyto/contracts";

type Accepted = Payload<"mail.accepted">;
type Suppressed = Payload<"mail.suppressed">;

/** What the view shows of a message; of recipients there may be a thousand, of messages tens of thousands. */
type Kept = Pick<
  Accepted,
  "at" | "messageId" | "from" | "subject" | "tags" | "metadata" | "scheduledAt" | "attachments" | "recipients"
> & { suppressed: Pick<Suppressed, "at" | "recipient" | "role">[] };

const keptMessagesMax = 20_000;
/** Of all of them as text: a million recipients as objects took 200 MB, as text they take a fifth of it. */
const keptCharsMax = 16_777_216;
/** By then the recorder has caught up, or the dashboard shows that it has not. */
const keptAgeMsMax = 15 * 60_000;

export type Recent = {
  add(message: Accepted, suppressed: readonly Suppressed[]): void;
  find(id: string): EmailDetail | undefined;
};

export function createRecent(now: () => number, charsMax = keptCharsMax): Recent {
  /** As JSON; the oldest stands first. */
  const kept = new Map<string, { text: string; at: number }>();
  let chars = 0;

  const forget = (id: string) => {
    chars -= kept.get(id)?.text.length ?? 0;
    kept.delete(id);
  };
  return {
    add(message, suppressed) {
      const { messageId, at } = message;
      const text = textOf(message, suppressed);
      forget(messageId);
      kept.set(messageId, { text, at });
      chars += text.length;
      for (const [id, oldest] of kept) {
        const isRoom = kept.size <= keptMessagesMax && chars <= charsMax;
        if (isRoom && oldest.at > now() - keptAgeMsMax) break;
        forget(id);
      }
    },
    find(id) {
      const found = kept.get(id);
      return found && viewOf(JSON.parse(found.text) as Kept);
    },
  };
}

function textOf(message: Accepted, suppressed: readonly Suppressed[]): string {
  const { at, messageId, from, subject, tags, metadata, scheduledAt, attachments, recipients } = message;
  return JSON.stringify({
    ...{ at, messageId, from, subject, tags, metadata, scheduledAt, attachments, recipients },
    suppressed: suppressed.map(({ at: since, recipient, role }) => ({ at: since, recipient, role })),
  });
}

function viewOf(message: Kept): EmailDetail {
  const { at, recipients, suppressed, scheduledAt, attachments } = message;
  const status = scheduledAt === undefined ? "accepted" : "scheduled";
  const created = new Date(at).toISOString();
  return {
    id: message.messageId,
    status,
    from: message.from,
    subject: message.subject,
    tags: message.tags,
    metadata: message.metadata,
    created_at: created,
    ...(scheduledAt === undefined ? {} : { scheduled_at: new Date(scheduledAt).toISOString() }),
    recipients: [
      ...recipients.map(({ address, role }) => ({ address, role, status, attempts: 0 }) as const),
      ...suppressed.map(
        ({ recipient, role = "to" }) =>
          ({ address: recipient, role, status: "suppressed", attempts: 0 }) as const,
      ),
    ],
    timeline: [
      { at: created, event: attachments > 0 ? "mail.submitted" : "mail.accepted" },
      ...suppressed.map(({ at: since, recipient }) => ({
        at: new Date(since).toISOString(),
        event: "mail.suppressed",
        recipient,
      })),
    ],
  };
}
