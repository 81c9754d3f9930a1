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
  type StoredEvent,
  unknownRecipient,
} from "@tyto/contracts";
import { type Facts, header, type Message, type Report, type Understood, understand } from "@tyto/mail";
import { type Identity, shortHash } from "./identity.ts";

export type Consequences = { kind: InboundKind; why: string; events: StoredEvent[] };

/** What is known of the message besides what it says. */
export type Circumstances = Facts & { identity: Identity; authentication: Authentication };

/** `message` is `undefined` when its nesting or its headers exceed any reason. */
export function consequences(message: Message | undefined, circumstances: Circumstances): Consequences {
  if (message === undefined)
    return {
      kind: "unclear",
      why: "its nesting or its headers exceed what is read of a message",
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
 * Ids come from the delivery and from what the message says: the same report counts once however it came, over whatever
 * servers and however often.
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
        id: `${about.deliveryId ?? about.messageId}.${shortHash(source)}.complained`,
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

/**
 * One event for each recipient that the report names. Which delivery it is about is what our return path says; the
 * address in the report may be where an alias led, and is not believed over it.
 */
function reported(
  { report, deliveryId, origin }: { report: Report; deliveryId: DeliveryId; origin?: Origin },
  source: string,
  event: About,
): StoredEvent[] {
  const messageId: MessageId = messageIdOf(deliveryId);
  const events: StoredEvent[] = [];
  for (const [index, told] of report.recipients.entries()) {
    const said = shortHash([source, index, told.action, told.status ?? ""].join("\n"));
    // The address we sent to is known to whoever has the delivery; a report may leave it out.
    const about = { ...event, messageId, deliveryId, recipient: told.address ?? unknownRecipient };
    if (told.action === "failed" && told.classification !== undefined) {
      const remoteMta = told.remoteMta ?? report.reportingMta;
      events.push({
        subject: "mail.bounced",
        payload: {
          ...about,
          id: `${deliveryId}.${said}.bounced`,
          source: "dsn",
          ...told.classification,
          ...(told.reply === undefined ? {} : { reply: told.reply }),
          ...(told.diagnostic === undefined ? {} : { explanation: told.diagnostic.slice(0, 500) }),
          ...(remoteMta === undefined ? {} : { remoteMta }),
          ...(origin === undefined ? {} : { origin }),
        },
      });
    } else if (told.action !== "failed")
      events.push({
        subject: "mail.reported",
        payload: {
          ...about,
          id: `${deliveryId}.${said}.reported`,
          action: told.action,
          ...(told.status === undefined ? {} : { status: told.status }),
          ...(told.diagnostic === undefined ? {} : { diagnostic: told.diagnostic }),
        },
      });
  }
  return events;
}
