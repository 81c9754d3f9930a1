/**
 * Message-IDs of ours (RFC 5322 §3.6.4): `<messageId>.<mac>@<domain>`. The MAC shows that we made one, so that an answer or
 * a complaint that has nothing left but this names its message beyond doubt.
 */
import { createHmac, timingSafeEqual } from "node:crypto";
import { MessageId } from "@tyto/contracts";
import { base32 } from "./verp.ts";

const macChars = 20;
const pattern = /^([0-9a-hjkmnp-tv-z]{26})\.([a-z2-7]{20})@([a-z0-9._-]{1,253})$/;

/** Without angle brackets. */
export const encodeMessageId = (messageId: MessageId, domain: string, key: string): string =>
  `${messageId}.${mac(messageId, domain, key)}@${domain}`;

/** The message that a Message-ID of ours names, with or without angle brackets; `undefined` when we did not make it. */
export function decodeMessageId(text: string, key: string): MessageId | undefined {
  const bare = text.trim().replace(/^<(.*)>$/, "$1");
  const [, id, given, domain] = pattern.exec(bare.toLowerCase()) ?? [];
  if (id === undefined || given === undefined || domain === undefined) return undefined;
  const expected = mac(id, domain, key);
  return timingSafeEqual(Buffer.from(given), Buffer.from(expected)) ? MessageId.parse(id) : undefined;
}

const mac = (messageId: string, domain: string, key: string) =>
  base32(
    createHmac("sha256", key).update(`tyto message id 1\n${messageId}\n${domain.toLowerCase()}`).digest(),
  ).slice(0, macChars);
