/** The SPF record (RFC 7208) that lets mail leave from our addresses, and whether a record that was found does. */
import { BlockList, isIP } from "node:net";
import { isDomain } from "@tyto/contracts";

/** Terms of a record that ask DNS; receivers give up at one more (RFC 7208 §4.6.4). */
const lookupsMax = 10;

/** An address that mail leaves from, as the mta tells it. */
export type Sender = { localIp?: string | undefined; ehloName: string; proxy?: string | undefined };

/**
 * The mechanism that names it to the world: the address itself, or its EHLO name where the world sees another address, by
 * the system's choice, through a proxy or behind NAT. `undefined` where the name is nobody's.
 */
export function mechanismOf({ localIp, ehloName, proxy }: Sender): string | undefined {
  if (localIp !== undefined && proxy === undefined && isSeen(localIp)) return mechanismOfIp(localIp);
  return isDomain(ehloName) ? `a:${ehloName.toLowerCase()}` : undefined;
}

export const mechanismOfIp = (ip: string) => `ip${isIP(ip) === 6 ? 6 : 4}:${ip.toLowerCase()}`;

/** Ours alone, and the mail host: what needs no look-up stands first. */
export function spfRecord(mailHostname: string, mechanisms: readonly string[]): string {
  const [names, ips] = [
    [`a:${mailHostname}`, ...mechanisms.filter(isName).toSorted()],
    mechanisms.filter((one) => !isName(one)).toSorted((a, b) => a.localeCompare(b, "en", { numeric: true })),
  ];
  return ["v=spf1", ...new Set([...ips, ...names]), "-all"].join(" ");
}

export const isName = (mechanism: string) => mechanism.startsWith("a:");

/** Whether all that `wanted` lets pass passes by `found` as well, which may say more. */
export function covers(found: string, wanted: string): boolean {
  const have = termsOf(found);
  const lookups = have.filter((term) => /^[+?~-]?(include:|a\b|mx\b|ptr\b|exists:|redirect=)/.test(term));
  if (lookups.length > lookupsMax) return false;
  const passes = have.filter((term) => !/^[?~-]/.test(term)).map((term) => term.replace(/^\+/, ""));
  return termsOf(wanted).every((term) => passes.some((one) => one === term || isWithin(term, one)));
}

/** What stands before `all`: nothing behind it is looked at (RFC 7208 §5.1). A modifier may stand anywhere. */
function termsOf(record: string): string[] {
  const terms = record.toLowerCase().split(/\s+/).slice(1).filter(Boolean);
  const end = terms.findIndex((term) => /^[+?~-]?all$/.test(term));
  return end < 0 ? terms : [...terms.slice(0, end), ...terms.slice(end).filter((term) => term.includes("="))];
}

/** Whether `ip4:` or `ip6:` of one address lies in that of a network. */
function isWithin(term: string, network: string): boolean {
  const [, kind, ip = ""] = /^(ip[46]):(.+)$/.exec(term) ?? [];
  const [, otherKind, base = "", bits] = /^(ip[46]):([^/]+)(?:\/(\d{1,3}))?$/.exec(network) ?? [];
  if (kind === undefined || kind !== otherKind) return false;
  const family = kind === "ip4" ? "ipv4" : "ipv6";
  const [version, bitsMax] = kind === "ip4" ? [4, 32] : [6, 128];
  const prefix = Number(bits ?? bitsMax);
  if (isIP(base) !== version || isIP(ip) !== version || prefix > bitsMax) return false;
  const list = new BlockList();
  list.addSubnet(base, prefix, family);
  return list.check(ip, family);
}

/** Addresses that the world never sees: of this machine, this link, or a network behind NAT (RFC 6890). */
const unseen = new BlockList();
for (const [network, prefix] of [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.168.0.0", 16],
] as const)
  unseen.addSubnet(network, prefix, "ipv4");
for (const [network, prefix] of [
  ["::", 127],
  ["fc00::", 7],
  ["fe80::", 10],
] as const)
  unseen.addSubnet(network, prefix, "ipv6");

const isSeen = (ip: string) => isIP(ip) !== 0 && !unseen.check(ip, isIP(ip) === 6 ? "ipv6" : "ipv4");
