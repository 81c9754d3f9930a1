/**
 * What becomes of a message that came in. It is stored first; then each of its recipients turns it into exactly one
 * kind, and into the events that follow from it.
 */
import type { Bus } from "@tyto/bus";
import {
  Address,
  type Authentication,
  defaultOrganization,
  type InboundKind,
  type Payload,
} from "@tyto/contracts";
import { type Facts, readMessage } from "@tyto/mail";
import { BoundedMap, places } from "@tyto/service";
import type { Claimed } from "./authenticate.ts";
import { consequences } from "./consequences.ts";
import { inboundIdOf } from "./identity.ts";
import type { Admitted } from "./recipients.ts";
import type { Spooled } from "./spool/spool.ts";

export type Incoming = {
  message: Spooled;
  /** The reverse path; `""` is the null path of reports (RFC 5321 §4.5.5). */
  envelopeFrom: string;
  recipients: readonly Admitted[];
  remoteIp: string;
  helo: string;
};

export type Ports = {
  putRaw(id: string, content: Uint8Array | Blob): Promise<number>;
  publish: Bus["publish"];
  /** SPF, DKIM, DMARC and ARC of a message; never throws. */
  authenticate(claimed: Claimed): Promise<Authentication>;
  knowledge: Pick<Facts, "verpKey" | "isOwnDomain">;
  now(): number;
};

/** `repeated`: everything of it was stored before. */
export type Outcome = InboundKind | "repeated";

/** Reports stand in front; what comes later is the mail that was sent, or attachments. */
const frontBytesMax = 1_048_576;
/** Files that are carried to JetStream at the same time, two parts of each in memory; short messages wait behind those parts. */
const filesAtOnceMax = 4;
/** Messages that are in memory for being read. */
const readAtOnceMax = 16;
/** Arrivals remembered, so that a repeat costs nothing; the events' ids make all others harmless. */
const rememberedMax = 20_000;

/**
 * Resolves when everything is stored, so that the sender may be told 250. Names are derived from the message: a sender
 * who did not hear our 250 and sends again changes nothing, and neither does the same report over two paths.
 */
export function intake(ports: Ports): (incoming: Incoming) => Promise<Outcome[]> {
  const carrying = places(filesAtOnceMax);
  const reading = places(readAtOnceMax);
  const remembered = new BoundedMap<string, true>(rememberedMax);

  return async (incoming) => {
    const { message, recipients } = incoming;
    const fresh = recipients
      .map((recipient) => ({ ...recipient, inboundId: inboundIdOf(message.identity, recipient.address) }))
      .filter(({ inboundId }) => !remembered.has(inboundId));
    if (fresh.length === 0) return recipients.map(() => "repeated");

    const [rawChunks, authentication] = await Promise.all([carry(message), ports.authenticate(incoming)]);
    const giveBack = await reading.take();
    try {
      const read = readMessage(await message.front(frontBytesMax));
      const kinds: InboundKind[] = [];
      for (const recipient of fresh) {
        const at = ports.now();
        const { kind, why, events } = consequences(read, {
          ...ports.knowledge,
          ...(recipient.deliveryId === undefined ? {} : { deliveryId: recipient.deliveryId }),
          ...(recipient.purpose === undefined ? {} : { purpose: recipient.purpose }),
          ...(recipient.origin === undefined ? {} : { origin: recipient.origin }),
          envelopeFrom: incoming.envelopeFrom,
          envelopeTo: recipient.address,
          nowMs: at,
          identity: message.identity,
          authentication,
        });
        const received: Payload<"mail.received"> = {
          id: `${recipient.inboundId}.received`,
          at,
          organizationId: defaultOrganization,
          inboundId: recipient.inboundId,
          kind,
          why,
          envelopeFrom: Address.safeParse(incoming.envelopeFrom).data ?? "",
          envelopeTo: recipient.address,
          ...(read?.from === undefined ? {} : { from: read.from }),
          ...(read?.subject === undefined ? {} : { subject: read.subject }),
          ...(recipient.deliveryId === undefined ? {} : { deliveryId: recipient.deliveryId }),
          authentication,
          rawBytes: message.bytes,
          rawChunks,
          remoteIp: incoming.remoteIp,
        };
        // Side by side, so that they share one fsync.
        await Promise.all([
          ports.publish("mail.received", received),
          ...events.map(({ subject, payload }) => ports.publish(subject, payload as never)),
        ]);
        remembered.set(recipient.inboundId, true);
        kinds.push(kind);
      }
      return kinds;
    } finally {
      giveBack();
    }
  };

  /** Resolves with the number of parts. */
  async function carry({ content, identity }: Spooled): Promise<number> {
    if (content instanceof Uint8Array) return await ports.putRaw(identity, content);
    const giveBack = await carrying.take();
    try {
      return await ports.putRaw(identity, content);
    } finally {
      giveBack();
    }
  }
}
