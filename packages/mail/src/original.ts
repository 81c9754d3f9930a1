/** The mail that a report is about, as far as the report includes it, and the marks of ours that are left in it. */
import type { DeliveryId, MessageId, Origin } from "@tyto/contracts";
import { messageIdOf } from "@tyto/contracts";
import { toByteText } from "./encodings.ts";
import type { Message } from "./message.ts";
import { decodeMessageId } from "./message-id.ts";
import { type Header, readHeaderLines } from "./mime.ts";
import { decodeOwnAddress, decodeToken } from "./own-address.ts";

/** Which of our messages something is about, for which recipient where that is known, and by which way it left. */
export type About = { messageId: MessageId; deliveryId?: DeliveryId; origin?: Origin };

const originalTypes =
  /^(?:message\/(?:rfc822|global|rfc822-headers|global-headers|partial)|text\/rfc822-headers?)$/;
const marksCharsMax = 65_536;
const marksMax = 50;

/** The header of the first message inside the message; empty when there is none. */
export function originalHeaders(message: Message): readonly Header[] {
  const part = message.parts.find(({ type }) => originalTypes.test(type));
  return part === undefined ? [] : readHeaderLines(toByteText(part.bytes.subarray(0, 2 * marksCharsMax)));
}

/** Texts in which marks of ours can stand, the surest first: the header of the original, then what the report itself says. */
export const marksIn = (message: Message, fields: readonly Header[]): string =>
  [
    ...ordered([...fields, ...originalHeaders(message)]).map(({ name, value }) => `${name}: ${value}`),
    message.text,
  ]
    .join("\n")
    .slice(0, marksCharsMax);

/** Fields that name the envelope stand in front: they are written by the receiver. */
const ordered = (fields: readonly Header[]) => [
  ...fields.filter(({ name }) => envelopeFields.has(name)),
  ...fields.filter(({ name }) => !envelopeFields.has(name)),
];
const envelopeFields = new Set(["return-path", "original-mail-from", "x-mailfrom", "cfbl-feedback-id"]);

const ownAddresses =
  /\b[buc]-[0-9a-z]{26}-\d{1,4}(?:-[a-z2-7]{8})?-[a-z2-7]{20}@[a-z0-9](?:[a-z0-9.-]{0,250}[a-z0-9])?/gi;
const tokens = /\b[0-9a-z]{26}-\d{1,4}-[a-z2-7]{20}\b/gi;
const messageIds = /\b[0-9a-z]{26}\.[a-z2-7]{20}@[a-z0-9](?:[a-z0-9.-]{0,250}[a-z0-9])?/gi;

/**
 * The message of ours that a text is about, by the first mark with a right MAC: an address of a delivery, a token of one,
 * or a Message-ID. Everything else in the text is a stranger's claim.
 */
export function aboutIn(text: string, key: string): About | undefined {
  let about: About | undefined;
  for (const [found] of bounded(text.matchAll(ownAddresses))) {
    const own = decodeOwnAddress(found, key);
    if (own === undefined) continue;
    about ??= aboutDelivery(own.deliveryId);
    // Only the return path tells the way; another address of the same delivery may stand in front of it.
    if (own.deliveryId === about.deliveryId && own.origin !== undefined)
      return { ...about, origin: own.origin };
  }
  if (about !== undefined) return about;
  for (const [found] of bounded(text.matchAll(tokens))) {
    const id = decodeToken("feedback", found, key) ?? decodeToken("unsubscribe", found, key);
    if (id !== undefined) return aboutDelivery(id);
  }
  for (const [found] of bounded(text.matchAll(messageIds))) {
    const messageId = decodeMessageId(found, key);
    if (messageId !== undefined) return { messageId };
  }
  return undefined;
}

export const aboutDelivery = (deliveryId: DeliveryId): About => ({
  messageId: messageIdOf(deliveryId),
  deliveryId,
});

/** Each mark costs an HMAC; a text full of false ones is a forgery. */
function* bounded<T>(found: Iterable<T>): Generator<T> {
  let count = 0;
  for (const one of found) {
    if (++count > marksMax) return;
    yield one;
  }
}
