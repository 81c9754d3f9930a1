/**
 * Addresses that we make for one delivery: its return path (`b-`), where its recipient unsubscribes by mail (`u-`), and where
 * its complaints go (`c-`). The token of the last two, `<deliveryId>-<mac>`, also stands in URLs and header fields. Each
 * purpose has a label of its own, so that a token made for one is worth nothing for another.
 */
import { createHmac, timingSafeEqual } from "node:crypto";
import { Address, DeliveryId, type Origin } from "@tyto/contracts";
import { base32, looksLikeReturnPath, readReturnPath } from "./verp.ts";

export type Purpose = "return-path" | "unsubscribe" | "feedback";
type TokenPurpose = Exclude<Purpose, "return-path">;

const macChars = 20;
const tokenPattern = /^([0-9a-hjkmnp-tv-z]{26}-\d{1,4})-([a-z2-7]{20})$/;
const prefixes = { unsubscribe: "u-", feedback: "c-" } as const satisfies Record<TokenPurpose, string>;

/** What proves that we mean this delivery: 100 bits of HMAC-SHA-256 (RFC 2104 §5) in base32. It has no date. */
export const encodeToken = (purpose: TokenPurpose, deliveryId: DeliveryId, key: string): string =>
  `${deliveryId}-${mac(purpose, deliveryId, key)}`;

/** The delivery that a token of ours is about, in any case of letters; `undefined` when we did not make it for this purpose. */
export function decodeToken(purpose: TokenPurpose, token: string, key: string): DeliveryId | undefined {
  const [, id, given] = tokenPattern.exec(token.toLowerCase()) ?? [];
  if (id === undefined || given === undefined) return undefined;
  const expected = mac(purpose, id, key);
  return timingSafeEqual(Buffer.from(given), Buffer.from(expected)) ? DeliveryId.parse(id) : undefined;
}

/** Where mail about one delivery goes. `host` is the domain's return path host. */
export const encodeOwnAddress = (
  purpose: TokenPurpose,
  deliveryId: DeliveryId,
  host: string,
  key: string,
): Address => Address.parse(`${prefixes[purpose]}${encodeToken(purpose, deliveryId, key)}@${host}`);

/** What an address of ours is for and which delivery it is about; `undefined` when we did not make it. */
export function decodeOwnAddress(
  address: string,
  key: string,
): { purpose: Purpose; deliveryId: DeliveryId; origin?: Origin } | undefined {
  const returned = readReturnPath(address, key);
  if (returned !== undefined) return { purpose: "return-path", ...returned };
  const local = address.slice(0, address.lastIndexOf("@")).toLowerCase();
  for (const purpose of ["unsubscribe", "feedback"] as const) {
    if (!local.startsWith(prefixes[purpose])) continue;
    const deliveryId = decodeToken(purpose, local.slice(prefixes[purpose].length), key);
    if (deliveryId !== undefined) return { purpose, deliveryId };
  }
  return undefined;
}

/** True for anything shaped like an address that we make for a delivery, whether or not its MAC is right. */
export function looksLikeOwnAddress(address: string): boolean {
  const local = address.slice(0, address.lastIndexOf("@")).toLowerCase();
  return looksLikeReturnPath(address) || (/^[uc]-/.test(local) && tokenPattern.test(local.slice(2)));
}

const mac = (purpose: TokenPurpose, deliveryId: string, key: string) =>
  base32(createHmac("sha256", key).update(`tyto ${purpose} 1\n${deliveryId}`).digest()).slice(0, macChars);
