/**
 * The return path of each delivery: `b-<deliveryId>-<origin>-<mac>@<return path host>`. A report that comes back names its
 * delivery by the address it was sent to, and the MAC shows that we made that address. Nothing inside a report is
 * believed about whose mail it was. The origin, which may be absent, tells the mta by which way the message left.
 *
 * The MAC is HMAC-SHA-256 cut to 100 bits (RFC 2104 §5 asks for at least 80), in base32 because remote servers fold
 * the case of local parts. It has no date: some servers keep a message for weeks before they give up.
 */
import { createHmac, timingSafeEqual } from "node:crypto";
import { Address, DeliveryId, Origin } from "@tyto/contracts";

const macChars = 20;
/** That hold the bits of so many characters. */
const macBytes = Math.ceil((macChars * 5) / 8);
const returnPathPattern = /^b-([0-9a-hjkmnp-tv-z]{26}-\d{1,4})(?:-([a-z2-7]{8}))?-([a-z2-7]{20})$/;

/** The envelope sender of one delivery. `host` is the domain's return path host; the local part has at most 63 characters. */
export function encodeReturnPath(
  deliveryId: DeliveryId,
  host: string,
  key: string,
  origin?: Origin,
): Address {
  const marked = origin === undefined ? deliveryId : `${deliveryId}-${origin}`;
  return Address.parse(`b-${marked}-${mac(marked, host, key)}@${host}`);
}

/** What a return path says, in any case of letters; `undefined` when we did not make it. */
export function readReturnPath(
  address: string,
  key: string,
): { deliveryId: DeliveryId; origin?: Origin } | undefined {
  const at = address.lastIndexOf("@");
  const [, id, origin, given] = returnPathPattern.exec(address.slice(0, at).toLowerCase()) ?? [];
  if (id === undefined || given === undefined) return undefined;
  const expected = mac(origin === undefined ? id : `${id}-${origin}`, address.slice(at + 1), key);
  if (!timingSafeEqual(Buffer.from(given), Buffer.from(expected))) return undefined;
  return {
    deliveryId: DeliveryId.parse(id),
    ...(origin === undefined ? {} : { origin: Origin.parse(origin) }),
  };
}

/** True for anything shaped like a return path of ours, whether or not its MAC is right. */
export function looksLikeReturnPath(address: string): boolean {
  return returnPathPattern.test(address.slice(0, address.lastIndexOf("@")).toLowerCase());
}

/** The label keeps a MAC made for another purpose with the same key from being a return path. */
function mac(marked: string, host: string, key: string): string {
  const digest = createHmac("sha256", key)
    .update(`tyto return path 1\n${marked}\n${host.toLowerCase()}`)
    .digest();
  return base32(digest.subarray(0, macBytes)).slice(0, macChars);
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
