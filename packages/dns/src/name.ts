import { isIP } from "node:net";
import { domainToASCII } from "node:url";
import { DnsError } from "./errors.ts";

/**
 * The name as it goes on the wire: A-labels (RFC 5891), lower case, without the trailing dot. Underscores are kept
 * (`_dmarc.…`). Throws DnsError `name` when DNS has no form for it (RFC 1035 §2.3.4: labels of 63, names of 255 octets).
 */
export function wireName(name: string): string {
  const bare = name.endsWith(".") ? name.slice(0, -1) : name;
  const ascii = isAscii(bare) ? bare.toLowerCase() : domainToASCII(bare);
  const labels = ascii.split(".");
  if (ascii.length > 253 || !labels.every((label) => /^[!-~]{1,63}$/.test(label)))
    throw new DnsError("name", `${JSON.stringify(name.slice(0, 300))} is not a DNS name`);
  return ascii;
}

const isAscii = (text: string) => /^[\0-\x7f]*$/.test(text);

/** The name whose PTR record names the host of an address (RFC 1035 §3.5, RFC 3596 §2.5). */
export function reverseName(ip: string): string {
  switch (isIP(ip)) {
    case 4:
      return `${ip.split(".").toReversed().join(".")}.in-addr.arpa`;
    case 6:
      return `${nibbles(ip).toReversed().join(".")}.ip6.arpa`;
    default:
      throw new DnsError("name", `${JSON.stringify(ip.slice(0, 100))} is not an IP address`);
  }
}

function nibbles(ip: string): string[] {
  // The URL parser brings every way to write an IPv6 address into the one of RFC 5952; a zone has no place in a name.
  const canonical = new URL(`http://[${ip.replace(/%.*$/, "")}]/`).hostname.slice(1, -1);
  const [head = "", tail] = canonical.split("::");
  const before = head === "" ? [] : head.split(":");
  const after = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros = tail === undefined ? 0 : 8 - before.length - after.length;
  const groups = [...before, ...Array.from({ length: zeros }, () => "0"), ...after];
  return groups.flatMap((group) => [...group.padStart(4, "0")]);
}
