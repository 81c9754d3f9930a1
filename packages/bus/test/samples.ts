/** Valid events and queue entries for tests. */
import {
  Address,
  DeliveryId,
  Domain,
  defaultOrganization,
  deliveryId,
  type MessageId,
  newMessageId,
  type Payload,
  type QueueEntry,
  type Subject,
} from "@tyto/contracts";

const from = Address.parse("ann@example.com");
const recipient = Address.parse("bob@example.org");
const domain = Domain.parse("example.com");

type Samples = { [S in Subject]: Payload<S> };

function samples(id: string, messageId: MessageId): Samples {
  const event = { id, at: 1_700_000_000_000, organizationId: defaultOrganization };
  const aboutMessage = { ...event, messageId };
  const aboutDelivery = { ...aboutMessage, deliveryId: deliveryId(messageId, 0), recipient };
  const reply = { code: 250, enhanced: "2.0.0", text: "queued" };
  const conversation = {
    ...{ mx: "mx.example.org", ip: "192.0.2.1", tls: null, reused: false, durationMs: 12 },
  };
  const accepted = {
    ...aboutMessage,
    messageIdHeader: `${messageId}@example.com`,
    from,
    domain,
    subject: "Hello",
    recipients: [{ address: recipient, role: "to" as const }],
    ...{ bodyBytes: 100, bodyChunks: 1, attachments: 0, tags: [], metadata: {} },
    expiresAt: 1_800_000_000_000,
  };
  return {
    "mail.accepted": accepted,
    "mail.submitted": { ...accepted, attachments: 1 },
    "mail.scanned": { ...aboutMessage, engine: "clamav", durationMs: 3, message: accepted },
    "mail.refused": { ...aboutMessage, reason: "content.infected", signature: "Eicar" },
    "mail.held": { ...aboutMessage, why: "clamd does not answer" },
    "mail.cancelled": aboutMessage,
    "mail.suppressed": aboutDelivery,
    "mail.deferred": { ...aboutDelivery, attempt: 1, reason: "greylisted", nextAttemptAt: 1_700_000_300_000 },
    "mail.delivered": { ...aboutDelivery, attempt: 1, reply, conversation, dkim: [], returnPath: from },
    "mail.bounced": {
      ...aboutDelivery,
      ...{
        source: "smtp",
        reason: "mailbox.unknown",
        fault: "recipient",
        hard: true,
        confidence: 1,
        attempt: 1,
      },
    },
    "mail.reported": { ...aboutDelivery, action: "delayed", rawId: "raw1" },
    "mail.received": {
      ...event,
      ...{ inboundId: "in1", kind: "mail", envelopeFrom: "", envelopeTo: from },
      authentication: { spf: "pass", dkim: "pass", dmarc: "pass" },
      ...{ rawBytes: 10, rawChunks: 1, remoteIp: "192.0.2.1" },
    },
    "mail.complained": { ...aboutMessage, feedback: "abuse", format: "arf", rawId: "raw1" },
    "mail.unsubscribed": {
      ...aboutMessage,
      ...{ deliveryId: deliveryId(messageId, 0), method: "one-click" },
    },
    "mail.replied": {
      ...aboutMessage,
      ...{ foundBy: "message-id", envelopeTo: from, from: "Bob <bob@example.org>", text: "Thank you" },
      authentication: { spf: "pass", dkim: "pass", dmarc: "pass" },
      rawId: "raw1",
    },
    "report.dmarc": {
      ...event,
      ...{ domain, reporter: "example.org", reportId: "1", part: 0, beginAt: 0, endAt: 1 },
      ...{ policy: { p: "none" }, rows: [], rawId: "raw1" },
    },
    "report.tls": {
      ...event,
      ...{
        domain,
        reporter: "example.org",
        reportId: "1",
        beginAt: 0,
        endAt: 1,
        policies: [],
        rawId: "raw1",
      },
    },
    "sending.held": {
      ...event,
      scope: "organization",
      scopeId: "default",
      why: "9 of the last 50 recipients do not exist",
      by: "breaker:bounces",
      untilAt: 1_700_001_800_000,
    },
    "sending.released": {
      ...event,
      scope: "organization",
      scopeId: "default",
      by: "ann",
      heldAt: 1_700_000_000_000,
    },
    "egress.quarantined": {
      ...event,
      egress: "mail1",
      ip: "198.51.100.7",
      kind: "listed",
      why: "zen.spamhaus.org lists 198.51.100.7 (127.0.0.2)",
    },
    "egress.released": {
      ...event,
      egress: "mail1",
      ip: "198.51.100.7",
      kind: "listed",
      quarantinedAt: 1_700_000_000_000,
    },
    "domain.keyed": {
      ...event,
      domain,
      keys: [{ selector: "s1", algorithm: "ed25519-sha256", publicKey: "AA==", sealedPrivateKey: "AA==" }],
    },
  } satisfies Samples;
}

let made = 0;

/** A valid payload; each has an id of its own unless one is given. */
export function sampleEvent<S extends Subject>(subject: S, id = `sample.${++made}.${subject}`): Payload<S> {
  return samples(id, newMessageId())[subject];
}

export function sampleEntry(more: Partial<QueueEntry> = {}): QueueEntry {
  const messageId = newMessageId();
  return {
    deliveryId: DeliveryId.parse(`${messageId}-0`),
    messageId,
    organizationId: defaultOrganization,
    recipient,
    from,
    domain,
    ...{ attempt: 1, bodyBytes: 100, bodyChunks: 1, recipients: 1 },
    acceptedAt: 1_700_000_000_000,
    expiresAt: 1_800_000_000_000,
    ...more,
  };
}
