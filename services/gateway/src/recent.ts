/**
 * The messages this process accepted last, so that asking for one right after its 202 finds it although the recorder has
 * not brought it to Convex yet.
 */
import type { EmailDetail, Payload } from "@tyto/contracts";

const recentEntriesMax = 20_000;
/** By then the recorder has caught up, or the dashboard shows that it has not. */
const recentAgeMsMax = 15 * 60_000;

export type Recent = {
  add(message: Payload<"mail.accepted">, suppressed: readonly Payload<"mail.suppressed">[]): void;
  find(id: string): EmailDetail | undefined;
};

export function createRecent(now: () => number): Recent {
  type Entry = { message: Payload<"mail.accepted">; suppressed: readonly Payload<"mail.suppressed">[] };
  const entries = new Map<string, Entry>();
  return {
    add(message, suppressed) {
      entries.set(message.messageId, { message, suppressed });
      for (const [id, oldest] of entries) {
        if (entries.size <= recentEntriesMax && oldest.message.at > now() - recentAgeMsMax) break;
        entries.delete(id);
      }
    },
    find(id) {
      const entry = entries.get(id);
      return entry && viewOf(entry.message, entry.suppressed);
    },
  };
}

function viewOf(
  message: Payload<"mail.accepted">,
  suppressed: readonly Payload<"mail.suppressed">[],
): EmailDetail {
  const status = message.scheduledAt === undefined ? "accepted" : "scheduled";
  const created = new Date(message.at).toISOString();
  return {
    id: message.messageId,
    status,
    from: message.from,
    subject: message.subject,
    tags: message.tags,
    metadata: message.metadata,
    created_at: created,
    ...(message.scheduledAt === undefined
      ? {}
      : { scheduled_at: new Date(message.scheduledAt).toISOString() }),
    recipients: [
      ...message.recipients.map(({ address, role }) => ({ address, role, status, attempts: 0 }) as const),
      ...suppressed.map(
        ({ recipient, role = "to" }) =>
          ({ address: recipient, role, status: "suppressed", attempts: 0 }) as const,
      ),
    ],
    timeline: [
      { at: created, event: message.attachments > 0 ? "mail.submitted" : "mail.accepted" },
      ...suppressed.map(({ at, recipient }) => ({
        at: new Date(at).toISOString(),
        event: "mail.suppressed",
        recipient,
      })),
    ],
  };
}
