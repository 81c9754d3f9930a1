/** What one recipient's share in a message means: its kind, and the events besides `mail.received`. Pure. */
import {
  type DeliveryId,
  defaultOrganization,
  type InboundKind,
  messageIdOf,
  type StoredEvent,
  unknownRecipient,
} from "@tyto/contracts";
import { header, isAutoReply, type Message, type Report, readReport } from "@tyto/mail";
import { type Identity, shortHash } from "./identity.ts";
import type { Admitted } from "./recipients.ts";

export type Consequences = { kind: InboundKind; why?: string; events: StoredEvent[] };

/** `message` is `undefined` when its nesting or its headers exceed any reason. */
export function consequences(
  message: Message | undefined,
  { deliveryId }: Admitted,
  identity: Identity,
  at: number,
): Consequences {
  if (message === undefined)
    return { kind: "unclear", why: "its structure exceeds what is read of a message", events: [] };
  const report = readReport(message);
  if (report !== undefined && deliveryId !== undefined)
    return {
      kind: "bounce",
      events: reported(report, deliveryId, header(message, "message-id"), identity, at),
    };
  if (isAutoReply(message)) return { kind: "auto-reply", events: [] };
  // A return path takes reports. What came to one and is neither a report nor an auto-reply was not understood.
  if (deliveryId !== undefined)
    return { kind: "unclear", why: "it came to a return path and is no report", events: [] };
  return { kind: "mail", events: [] };
}

/**
 * One event for each recipient that the report names. Which delivery it is about is what our return path says; the
 * address in the report may be where an alias led, and is not believed over it. Ids come from the delivery and from what
 * the report says, so that the same report counts once however it came.
 */
function reported(
  report: Report,
  deliveryId: DeliveryId,
  messageId: string | undefined,
  identity: Identity,
  at: number,
): StoredEvent[] {
  const events: StoredEvent[] = [];
  for (const [index, told] of report.recipients.entries()) {
    const source = messageId?.trim() || identity;
    const said = shortHash([source, index, told.action, told.status ?? ""].join("\n"));
    const about = {
      at,
      organizationId: defaultOrganization,
      messageId: messageIdOf(deliveryId),
      deliveryId,
      // The address we sent to is known to whoever has the delivery; a report may leave it out.
      recipient: told.address ?? unknownRecipient,
      rawId: identity,
    };
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
