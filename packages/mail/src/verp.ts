/**
 * The return path of each delivery: `b-<deliveryId>-<mac>@<return path host>`. A report that comes back names its
 * delivery by the address it was sent to, and the MAC shows that we made that address. Nothing inside a report is
 * believed about whose mail it was.
 *
 * The MAC is HMAC-SHA-256 cut to 100 bits (RFC 2104 §5 asks for at least 80), in base32 because remote servers fold
 * the case of local parts. It has no date: some servers keep a message for weeks before they give up.
 */
import { createHmac, timingSafeEqual } from "node:crypto";
import { Address, DeliveryId } from "@tyto/contracts";

const macChars = 20;
const returnPathPattern = /^b-([0-9a-hjkmnp-tv-z]{26}-\d{1,4})-([a-z2-7]{20})$/;

/** The envelope sender of one delivery. `host` is the domain's return path host; the local part has at most 54 characters. */
export function encodeReturnPath(deliveryId: DeliveryId, host: string, key: string): Address {
  return Address.parse(`b-${deliveryId}-${mac(deliveryId, host, key)}@${host}`);
}

/** The delivery that a return path of ours belongs to, in any case of letters; `undefined` when we did not make it. */
export function decodeReturnPath(address: string, key: string): DeliveryId | undefined {
  const at = address.lastIndexOf("@");
  const [, id, given] = returnPathPattern.exec(address.slice(0, at).toLowerCase()) ?? [];
  if (id === undefined || given === undefined) return undefined;
  const expected = mac(id, address.slice(at + 1), key);
  return timingSafeEqual(Buffer.from(given), Buffer.from(expected)) ? DeliveryId.parse(id) : undefined;
}

/** True for anything shaped like a return path of ours, whether or not its MAC is right. */
export function looksLikeReturnPath(address: string): boolean {
  return returnPathPattern.test(address.slice(0, address.lastIndexOf("@")).toLowerCase());
}

/** The label keeps a MAC made for another purpose with the same key from being a return path. */
function mac(deliveryId: string, host: string, key: string): string {
  const digest = createHmac("sha256", key)
    .update(`tyto return path 1\n${deliveryId}\n${host.toLowerCase()}`)
    .digest();
  return base32(digest).slice(0, macChars);
}

/** RFC 4648 §6 in lower case, without padding. */
export function base32(bytes: Uint8Array): string {
  const alphabet = "abcdefghijklmnopqrstuvwxyz234567";
  let text = "";
  let held = 0;
  let bits = 0;
  for (const byte of bytes) {
    held = (held << 8) | byte;
    bits += 8;
    for (; bits >= 5; bits -= 5) text += alphabet.charAt((held >> (bits - 5)) & 31);
    held &= (1 << bits) - 1;
  }
  return bits === 0 ? text : text + alphabet.charAt((held << (5 - bits)) & 31);
}
