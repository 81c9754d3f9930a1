import {
  Address,
  Domain,
  type DomainRecord,
  deliveryId,
  newMessageId,
  type QueueEntry,
} from "@tyto/contracts";
import { reportMail } from "./report.ts";
import type { ReportPorts } from "./reports.ts";

export type ReportMailPorts = {
  domainOf(domain: Domain): Promise<DomainRecord | undefined>;
  putBody(id: string, bytes: Uint8Array): Promise<number>;
  queue(entries: readonly QueueEntry[]): Promise<void>;
  now: () => number;
};

/** RFC 8460 §5.4: it is tried for a day. */
const expiryMs = 86_400_000;

/**
 * Puts a report into the send queue as a message of our own, which is signed like any other (RFC 8460 §3 asks for DKIM by
 * the reporter's domain). It waives TLS policies: they may be what it reports.
 */
export const createReportMail =
  ({ domainOf, putBody, queue, now }: ReportMailPorts): ReportPorts["mail"] =>
  async (tally, reporter, to, packed) => {
    const recipient = Address.safeParse(to);
    if (!recipient.success) return `${to} is no address`;
    const domain = Domain.parse(reporter.domain);
    const record = await domainOf(domain);
    if (record === undefined || record.keys.length === 0)
      return `${domain}, from which reports are to come, has no signing keys here`;
    const atMs = now();
    const messageId = newMessageId(atMs);
    const body = reportMail(tally, reporter, recipient.data, packed, { messageId, atMs });
    const bodyChunks = await putBody(messageId, body);
    await queue([
      {
        deliveryId: deliveryId(messageId, 0),
        messageId,
        organizationId: record.organizationId,
        recipient: recipient.data,
        from: Address.parse(reporter.contact),
        domain,
        attempt: 1,
        bodyBytes: body.length,
        bodyChunks,
        recipients: 1,
        acceptedAt: atMs,
        requireTls: false,
        expiresAt: atMs + expiryMs,
      },
    ]);
    return undefined;
  };
