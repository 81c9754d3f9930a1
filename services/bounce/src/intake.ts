/**
 * What becomes of a message that came in. It is stored first; then each of its recipients turns it into exactly one
 * of: a bounce or another report about a delivery, or mail that somebody should see.
 */
import type { Bus } from "@tyto/bus";
import {
  Address,
  type DeliveryId,
  defaultOrganization,
  messageIdOf,
  type Payload,
  unknownRecipient,
} from "@tyto/contracts";
import { isAutoReply, type Message, type Report, readMessage, readReport } from "@tyto/mail";
import type { Admitted } from "./recipients.ts";

export type Incoming = {
  bytes: Uint8Array;
  /** The reverse path; `""` is the null path of reports (RFC 5321 §4.5.5). */
  envelopeFrom: string;
  recipients: readonly Admitted[];
  remoteIp: string;
  helo: string;
};

export type Authentication = Payload<"mail.received">["authentication"];

export type Ports = {
  putRaw(id: string, bytes: Uint8Array): Promise<number>;
  publish: Bus["publish"];
  /** SPF, DKIM and DMARC of a message; never throws. */
  authenticate(incoming: Incoming): Promise<Authentication>;
  now(): number;
};

export type Outcome = "bounced" | "reported" | "received";

/**
 * Resolves when everything is stored, so that the sender may be told 250. Names are derived from the bytes: a sender
 * who did not hear our 250 and sends again changes nothing.
 */
export const intake =
  (ports: Ports) =>
  async (incoming: Incoming): Promise<Outcome[]> => {
    const message = await readMessage(incoming.bytes);
    const report = message === undefined ? undefined : readReport(message);
    const outcomes: Outcome[] = [];
    for (const recipient of incoming.recipients) {
      const rawId = nameOf(incoming.bytes, recipient.address);
      const rawChunks = await ports.putRaw(rawId, incoming.bytes);
      const { deliveryId } = recipient;
      if (deliveryId !== undefined && report !== undefined)
        outcomes.push(...(await publishReport(ports, deliveryId, report, rawId)));
      else {
        await ports.publish(
          "mail.received",
          await received(ports, incoming, recipient, message, rawId, rawChunks),
        );
        outcomes.push("received");
      }
    }
    return outcomes;
  };

/**
 * One event for each recipient that the report names. Which delivery it is about is what our return path says; the
 * address in the report may be where an alias led, and is not believed over it.
 */
async function publishReport(
  ports: Ports,
  deliveryId: DeliveryId,
  report: Report,
  rawId: string,
): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  for (const [index, told] of report.recipients.entries()) {
    const about = {
      at: ports.now(),
      organizationId: defaultOrganization,
      messageId: messageIdOf(deliveryId),
      deliveryId,
      // The address we sent to is known to whoever has the delivery; a report may leave it out.
      recipient: told.address ?? unknownRecipient,
    };
    if (told.action === "failed" && told.classification !== undefined) {
      const remoteMta = told.remoteMta ?? report.reportingMta;
      await ports.publish("mail.bounced", {
        ...about,
        id: `${rawId}.${index}.bounced`,
        source: "dsn",
        ...told.classification,
        ...(told.reply === undefined ? {} : { reply: told.reply }),
        ...(told.diagnostic === undefined ? {} : { explanation: told.diagnostic.slice(0, 500) }),
        ...(remoteMta === undefined ? {} : { remoteMta }),
        rawId,
      });
      outcomes.push("bounced");
    } else if (told.action !== "failed") {
      await ports.publish("mail.reported", {
        ...about,
        id: `${rawId}.${index}.reported`,
        action: told.action,
        ...(told.status === undefined ? {} : { status: told.status }),
        ...(told.diagnostic === undefined ? {} : { diagnostic: told.diagnostic }),
        rawId,
      });
      outcomes.push("reported");
    }
  }
  return outcomes;
}

async function received(
  ports: Ports,
  incoming: Incoming,
  { address, deliveryId }: Admitted,
  message: Message | undefined,
  rawId: string,
  rawChunks: number,
): Promise<Payload<"mail.received">> {
  const envelopeFrom = Address.safeParse(incoming.envelopeFrom);
  // A return path takes reports. What came to one and is neither a report nor an auto-reply was not understood.
  const kind =
    message === undefined ? "unclear" : isAutoReply(message) ? "auto-reply" : deliveryId ? "unclear" : "mail";
  return {
    id: `${rawId}.received`,
    at: ports.now(),
    organizationId: defaultOrganization,
    inboundId: rawId,
    kind,
    envelopeFrom: envelopeFrom.success ? envelopeFrom.data : "",
    envelopeTo: address,
    ...(message?.from === undefined ? {} : { from: message.from }),
    ...(message?.subject === undefined ? {} : { subject: message.subject }),
    ...(deliveryId === undefined ? {} : { deliveryId }),
    authentication: await ports.authenticate(incoming),
    rawBytes: incoming.bytes.length,
    rawChunks,
    remoteIp: incoming.remoteIp,
  };
}

/** 128 bits of SHA-256 over the recipient and the bytes, in hex. */
function nameOf(bytes: Uint8Array, recipient: string): string {
  return new Bun.CryptoHasher("sha256")
    .update(recipient.toLowerCase())
    .update("\n")
    .update(bytes)
    .digest("hex")
    .slice(0, 32);
}
