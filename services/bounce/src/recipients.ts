import { Address, type DeliveryId, Failure, type Origin } from "@tyto/contracts";
import { decodeOwnAddress, looksLikeOwnAddress, type Purpose } from "@tyto/mail";

/** A recipient that we take mail for: an address that we made for one delivery, or one that somebody here reads. */
export type Admitted = { address: Address; deliveryId?: DeliveryId; purpose?: Purpose; origin?: Origin };

export type Directory = {
  verpKey: string;
  /** Hosts of return paths (`bounces.example.com`) and the sending domains themselves. */
  isReturnPathHost(host: string): boolean;
  isOwnDomain(domain: string): boolean;
  /** Our mail host's name, whose postmaster must be reachable. */
  hostname: string;
  /** Further addresses, and all of a domain as `*@example.com`; in lower case. */
  isInbox(pattern: string): boolean;
  /** Whether some address of a domain is an inbox. */
  hasInbox(domain: string): boolean;
};

/** RFC 5321 §4.5.1 demands postmaster, RFC 2142 §4 abuse; the others are where our DNS records send reports to. */
const roles = new Set(["postmaster", "abuse", "dmarc", "tlsrpt"]);

/**
 * Whether mail for `text` is taken. Throws Failure `return-path.invalid` for a return path whose MAC is wrong,
 * `recipient.unknown` for what a domain of ours does not have, and `relay.refused` for all other domains.
 */
export function admit(text: string, directory: Directory): Admitted {
  // RFC 5321 §4.5.1: "postmaster" alone is the postmaster of this host.
  const parsed = Address.safeParse(
    text.toLowerCase() === "postmaster" ? `postmaster@${directory.hostname}` : text,
  );
  if (!parsed.success) throw refusal(domainIn(text) ?? directory.hostname, directory);
  const address = parsed.data;
  const at = address.lastIndexOf("@");
  const [local, domain] = [address.slice(0, at).toLowerCase(), address.slice(at + 1)];

  if (directory.isReturnPathHost(domain) && looksLikeOwnAddress(address)) {
    const own = decodeOwnAddress(address, directory.verpKey);
    if (own === undefined) throw new Failure("return-path.invalid", "the MAC of the address is wrong");
    return { address, ...own };
  }
  // `ann+orders@` is for ann@ (RFC 5233), unless it has an inbox of its own.
  const bases = [local, local.split("+", 1)[0] ?? local].filter((base) => base !== "");
  if ([...bases, "*"].some((base) => directory.isInbox(`${base}@${domain}`))) return { address };
  if (isOurs(domain, directory) && bases.some((base) => roles.has(base))) return { address };
  throw refusal(domain, directory);
}

/** Of what may be no address. */
const domainIn = (text: string) =>
  text.includes("@") ? text.slice(text.lastIndexOf("@") + 1).toLowerCase() : undefined;

const isOurs = (domain: string, { hostname, isOwnDomain, isReturnPathHost }: Directory) =>
  domain === hostname || isOwnDomain(domain) || isReturnPathHost(domain);

/** RFC 3463 §3.2, §3.8: 5.1.1 says that a mailbox does not exist, which only its own domain can know; others get 5.7.1. */
const refusal = (domain: string, directory: Directory): Failure =>
  isOurs(domain, directory) || directory.hasInbox(domain)
    ? new Failure("recipient.unknown", "no such recipient here")
    : new Failure("relay.refused", "not a domain of ours");
