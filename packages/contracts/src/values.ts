/**
 * Value types shared by every service. A branded type says "this was checked"; it is made only by parsing.
 */
import { z } from "zod";

/**
 * An address as it stands in an envelope: RFC 5321 §4.1.2 `local-part@domain`, at most 254 octets (RFC 5321 §4.5.3.1
 * with the angle brackets taken off). UTF-8 local parts (RFC 6531) are allowed; whether a remote server takes them is
 * the MTA's question. The domain is kept in lower case, the local part as written.
 */
export const Address = z
  .string()
  .max(254)
  .regex(/^[^\s@<>()[\]\\,;:"\p{Cc}]{1,64}@[^\s@<>()[\]\\,;:"\p{Cc}]+$/u, "must look like name@example.com")
  .refine(
    (address) => isDomain(address.slice(address.lastIndexOf("@") + 1)),
    "has a domain that cannot exist",
  )
  .transform((address) => {
    const at = address.lastIndexOf("@");
    return `${address.slice(0, at)}@${address.slice(at + 1).toLowerCase()}`;
  })
  .brand<"Address">();
export type Address = z.infer<typeof Address>;

/** The same for ASCII names, nearly all that there are: without properties of Unicode it takes a thirtieth of the time. */
const asciiDomain =
  /^[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)+$/;
const anyDomain = /^(?!-)[\p{L}\p{N}-]{1,63}(?<!-)(\.(?!-)[\p{L}\p{N}-]{1,63}(?<!-))+$/u;

/** True for a DNS name of at least two labels (RFC 1035 §2.3.1 sizes; letters of any script are allowed as U-labels). */
export function isDomain(name: string): boolean {
  return name.length <= 253 && (asciiDomain.test(name) || anyDomain.test(name));
}

/** A domain in lower case, without the trailing dot. */
export const Domain = z
  .string()
  .transform((name) => name.trim().toLowerCase().replace(/\.$/, ""))
  .refine(isDomain, "must be a domain such as example.com")
  .brand<"Domain">();
export type Domain = z.infer<typeof Domain>;

const ulidPattern = /^[0-9a-hjkmnp-tv-z]{26}$/;

/** Names one accepted submission: a lower-case ULID (26 characters, sorts by time, safe in subjects and local parts). */
export const MessageId = z.string().regex(ulidPattern, "must be a message id").brand<"MessageId">();
export type MessageId = z.infer<typeof MessageId>;

/** Names one recipient of one message: `<messageId>-<index>`, index from 0. */
export const DeliveryId = z
  .string()
  .regex(/^[0-9a-hjkmnp-tv-z]{26}-\d{1,4}$/, "must be a delivery id")
  .brand<"DeliveryId">();
export type DeliveryId = z.infer<typeof DeliveryId>;

export const deliveryId = (messageId: MessageId, index: number): DeliveryId =>
  DeliveryId.parse(`${messageId}-${index}`);

export const messageIdOf = (id: DeliveryId): MessageId => MessageId.parse(id.slice(0, 26));

/**
 * A mark that the mta puts into return paths, to know by which of its addresses and for whom a message left when something
 * comes back. It tells nothing to anybody else.
 */
export const Origin = z
  .string()
  .regex(/^[a-z2-7]{8}$/, "must be an origin")
  .brand<"Origin">();
export type Origin = z.infer<typeof Origin>;

/**
 * Reports that were counted last, shortened, the newest last: one that comes twice counts once, and so does a second one of the same
 * bounce or complaint. As many as the durable mta-feedback may have under way, which come again after a crash.
 */
export const heardMax = 1_000;
export const Heard = z.array(z.string().max(16)).max(heardMax);

/** Who owns a message. One installation starts with one organisation, named `default`. */
export const OrganizationId = z
  .string()
  .regex(/^[a-z0-9-]{1,40}$/)
  .brand<"OrganizationId">();
export type OrganizationId = z.infer<typeof OrganizationId>;
export const defaultOrganization = OrganizationId.parse("default");

/** Stands for the recipient in an event about a report that names none; whoever has the delivery knows the address. */
export const unknownRecipient = Address.parse("unknown@recipient.invalid");

/** Milliseconds since 1970, UTC. Every time in every contract has this form. */
export const TimeMs = z.number().int().nonnegative();

const crockford = "0123456789abcdefghjkmnpqrstvwxyz";

/** A new lower-case ULID: 48 bits of time, 80 random bits. */
export function newMessageId(nowMs: number = Date.now()): MessageId {
  let time = "";
  for (let rest = nowMs, i = 0; i < 10; i++, rest = Math.floor(rest / 32))
    time = crockford.charAt(rest % 32) + time;
  const random = crypto.getRandomValues(new Uint8Array(16));
  return MessageId.parse(time + Array.from(random, (byte) => crockford.charAt(byte & 31)).join(""));
}

/** What a message is to its recipient: something they wait for, or one of many that they can do without. */
export const traffics = ["transactional", "bulk"] as const;
export const Traffic = z.enum(traffics);
export type Traffic = z.infer<typeof Traffic>;

/** Messages that are sent for one purpose and are held, counted and judged together. */
export const Campaign = z
  .string()
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}$/,
    "letters, digits and _ . : - only, beginning with a letter or digit",
  );
export type Campaign = z.infer<typeof Campaign>;
