/** What one recipient's share in a message means: its kind, and the events besides `mail.received`. Pure. */
import {
  Address,
  type Authentication,
  type DeliveryId,
  Domain,
  defaultOrganization,
  type InboundKind,
  type MessageId,
  messageIdOf,
  type Origin,
  phrase,
  type StoredEvent,
  standingOf,
  unknownRecipient,
} from "@tyto/contracts";
import {
  type Facts,
  header,
  type Message,
  type RecipientReport,
  type Report,
  type Understood,
  understand,
} from "@tyto/mail";
import { type Identity, shortHash } from "./identity.ts";

export type Consequences = { kind: InboundKind; why: string; events: StoredEvent[] };

/** What is known of the message besides what it says. */
export type Circumstances = Facts & { identity: Identity; authentication: Authentication };

/** `message` is `undefined` when its nesting or its headers exceed any reason. */
export function consequences(message: Message | undefined, circumstances: Circumstances): Consequences {
  if (message === undefined)
    return {
      kind: "unclear",
      why: phrase("inbound.not-read", {}),
      events: [],
    };
  const understood = understand(message, circumstances);
  return {
    kind: understood.kind,
    why: understood.why.slice(0, 300),
    events: eventsOf(understood, message, circumstances),
  };
}

/**
 * Ids come from the delivery and from what is said of it, not from who says it: a mailbox that is gone, a complaint and a wish are
 * one fact each, however many reports tell of it and whatever servers they came over. Whoever takes events takes an id once; every
 * report is seen by its `mail.received`.
 */
function eventsOf(
  understood: Understood,
  message: Message,
  { identity, authentication, envelopeTo, nowMs: at }: Circumstances,
): StoredEvent[] {
  const source = header(message, "message-id")?.trim() || identity;
  const event = { at, organizationId: defaultOrganization };
  const rawId = identity;
  switch (understood.kind) {
    case "bounce":
      return reported(understood, source, { ...event, rawId });
    case "complaint": {
      const { about } = understood;
      const { claimedRecipient, ...complaint } = understood.complaint;
      const address = Address.safeParse(claimedRecipient).data;
      const payload = {
        ...event,
        ...about,
        ...complaint,
        ...(address === undefined ? {} : { claimedRecipient: address }),
        id: complaintId(about, complaint.feedback, source),
        rawId,
      };
      return [{ subject: "mail.complained", payload }];
    }
    case "unsubscribe": {
      const { about, method } = understood;
      // Once, however often and in whatever way; the gateway names it the same.
      const { messageId, deliveryId } = about;
      const id = `${deliveryId}.unsubscribed`;
      const payload = { ...event, messageId, deliveryId, id, method, rawId };
      return [{ subject: "mail.unsubscribed", payload }];
    }
    case "reply": {
      const { about, foundBy, text } = understood;
      const payload = {
        ...event,
        ...about,
        id: `${about.deliveryId ?? about.messageId}.${shortHash(source)}.replied`,
        foundBy,
        envelopeTo: Address.parse(envelopeTo),
        from: message.from ?? "",
        ...(message.subject === undefined ? {} : { subject: message.subject }),
        text,
        authentication,
        rawId,
      };
      return [{ subject: "mail.replied", payload }];
    }
    case "dmarc-report":
      return understood.reports.map((report) => {
        const { reporter, reportId, part } = report;
        const domain = Domain.parse(report.domain);
        const id = `${shortHash([domain, reporter, reportId, part].join("\n"))}.dmarc`;
        return { subject: "report.dmarc", payload: { ...event, ...report, domain, id, rawId } };
      });
    case "tls-report":
      return understood.reports.map((report) => {
        const domain = Domain.parse(report.domain);
        const id = `${shortHash([domain, report.reporter, report.reportId].join("\n"))}.tls`;
        return { subject: "report.tls", payload: { ...event, ...report, domain, id, rawId } };
      });
    case "auto-reply":
    case "challenge":
    case "mail":
    case "unclear":
      return [];
  }
}

type About = { at: number; organizationId: typeof defaultOrganization; rawId: string };

/** Who complains of one delivery complains once; of a message, each report may be another recipient's. */
const complaintId = (
  about: Complaint["about"],
  feedback: Complaint["complaint"]["feedback"],
  source: string,
) =>
  about.deliveryId === undefined
    ? `${about.messageId}.${shortHash(source)}.complained`
    : `${about.deliveryId}.${feedback}.complained`;

type Complaint = Extract<Understood, { kind: "complaint" }>;

/**
 * At most one bounce, since one delivery has one recipient, and an event for everything else that the report tells. Which delivery
 * it is about is what our return path says; the addresses in the report may be where an alias led, and are not believed over it.
 */
function reported(
  { report, deliveryId, origin }: { report: Report; deliveryId: DeliveryId; origin?: Origin },
  source: string,
  event: About,
): StoredEvent[] {
  const messageId: MessageId = messageIdOf(deliveryId);
  // The address we sent to is known to whoever has the delivery; a report may leave it out.
  const aboutOf = ({ address }: RecipientReport) => ({
    ...event,
    messageId,
    deliveryId,
    recipient: address ?? unknownRecipient,
  });
  const events: StoredEvent[] = [];
  const bounce = worstOf(report.recipients);
  if (bounce !== undefined) {
    const { told, classification } = bounce;
    const remoteMta = told.remoteMta ?? report.reportingMta;
    events.push({
      subject: "mail.bounced",
      payload: {
        ...aboutOf(told),
        // Only what says more than before is news: a hard one after a soft one, or a sure one after a guess.
        id: `${deliveryId}.${standingOf(classification)}.bounced`,
        source: "dsn",
        ...classification,
        ...(told.reply === undefined ? {} : { reply: told.reply }),
        ...(told.diagnostic === undefined ? {} : { explanation: told.diagnostic.slice(0, 500) }),
        ...(remoteMta === undefined ? {} : { remoteMta }),
        ...(origin === undefined ? {} : { origin }),
      },
    });
  }
  for (const [index, told] of report.recipients.entries()) {
    if (told.action === "failed") continue;
    const said = shortHash([source, index, told.action, told.status ?? ""].join("\n"));
    events.push({
      subject: "mail.reported",
      payload: {
        ...aboutOf(told),
        id: `${deliveryId}.${said}.reported`,
        action: told.action,
        ...(told.status === undefined ? {} : { status: told.status }),
        ...(told.diagnostic === undefined ? {} : { diagnostic: told.diagnostic }),
      },
    });
  }
  return events;
}

/** Of the failures of one report the one that says most: a hard one first, then the surest, then the first. */
function worstOf(recipients: readonly RecipientReport[]) {
  const [worst] = recipients
    .flatMap((told) =>
      told.action === "failed" && told.classification !== undefined
        ? [{ told, classification: told.classification }]
        : [],
    )
    .toSorted(
      ({ classification: a }, { classification: b }) =>
        Number(b.hard) - Number(a.hard) || b.confidence - a.confidence,
    );
  return worst;
}
