import { isIP } from "node:net";
import { phrase, type Reason } from "@tyto/contracts";
import { type Answer, DnsError, type Resolver } from "@tyto/dns";
import { type Routes, routeOf } from "./routes.ts";
import type { Demand } from "./tls/demand.ts";

/** A mail server to try: its name, or an IP address from the route table. */
export type Host = {
  name: string;
  port: number;
  /** Addresses outside the public internet may be used: the operator named this host. */
  isTrusted: boolean;
  /** The recipient's domain itself, which stands in for absent MX records. */
  isImplicit: boolean;
  /** DNSSEC vouches for the answer that named it. */
  isAuthenticated?: boolean;
  /** What a session to it has to be; absent where nobody has asked yet. */
  demand?: Demand;
};

/** Where a domain's mail goes: hosts in the order to try them, or why there are none. */
export type Path =
  | { kind: "hosts"; hosts: readonly Host[] }
  | { kind: "none"; isPermanent: boolean; reason: Reason; explanation: string };

export type PathOptions = {
  resolver: Resolver;
  routes: Routes;
  /** Our own name: an MX set that holds it is cut off there (RFC 5321 §5.1). */
  ownHost: string;
  smtpPort: number;
  random: () => number;
};

/** Longer MX sets are cut; RFC 5321 §5.1 asks for at least two. */
const hostsMax = 20;

/**
 * Finds the mail servers of a domain: the route table first, else MX records by preference with equal ones shuffled,
 * else the domain itself (implicit MX), RFC 5321 §5.1. A null MX (RFC 7505) and an absent name are final; a DNS
 * failure is not.
 */
export async function findPath(domain: string, options: PathOptions): Promise<Path> {
  const route = routeOf(options.routes, domain);
  if (route !== undefined)
    return {
      kind: "hosts",
      hosts: [{ name: route.host, port: route.port, isTrusted: true, isImplicit: false }],
    };

  let answer: Answer<"MX">;
  try {
    answer = await options.resolver.mx(domain);
  } catch (error) {
    if (error instanceof DnsError && error.kind === "name")
      return none(true, "domain.unknown", phrase("path.no-name", { domain }));
    return dnsTrouble(domain, error);
  }
  if (answer.status === "nxdomain") return none(true, "domain.unknown", phrase("path.unknown", { domain }));
  const names =
    answer.status === "nodata"
      ? [domain]
      : order(answer.records, options.random).map(({ exchange }) => exchange);
  if (answer.status === "ok" && names.every((name) => name === ""))
    return none(true, "domain.takes-no-mail", phrase("path.null-mx", { domain }));

  const before = beforeOurselves(
    names.filter((name) => name !== ""),
    answer.records,
    options.ownHost,
  );
  if (before.length === 0)
    return none(true, "routing.loop", phrase("path.loop", { domain, host: options.ownHost }));
  return {
    kind: "hosts",
    hosts: before.slice(0, hostsMax).map((name) => ({
      name,
      port: options.smtpPort,
      isTrusted: false,
      isImplicit: answer.status === "nodata",
      ...(answer.authenticated ? { isAuthenticated: true } : {}),
    })),
  };
}

/** By preference, lowest first; records of one preference in random order, which spreads the load (RFC 5321 §5.1). */
function order<T extends { preference: number }>(records: readonly T[], random: () => number): T[] {
  return records
    .map((record) => ({ record, place: random() }))
    .toSorted((a, b) => a.record.preference - b.record.preference || a.place - b.place)
    .map(({ record }) => record);
}

/** The hosts that are better than we are. Those as good or worse would send the message back to us (RFC 5321 §5.1). */
function beforeOurselves(
  names: readonly string[],
  records: Answer<"MX">["records"],
  ownHost: string,
): string[] {
  const isOurs = (name: string) => name.toLowerCase() === ownHost.toLowerCase();
  const ours = Math.min(
    ...records.filter(({ exchange }) => isOurs(exchange)).map(({ preference }) => preference),
  );
  const preferenceOf = new Map(records.map(({ exchange, preference }) => [exchange, preference]));
  return names.filter((name) => !isOurs(name) && (preferenceOf.get(name) ?? 0) < ours);
}

/** Addresses of a host to connect to, or why there are none. */
export type Addresses =
  | { kind: "addresses"; addresses: readonly string[] }
  | { kind: "none"; isPermanent: boolean; reason: Reason; explanation: string };

/** Tried in one attempt at one host; large receivers publish more for their own balance. */
const addressesMax = 4;

/**
 * The addresses of a mail server, IPv4 before IPv6: large receivers refuse IPv6 from senders without a PTR record
 * more strictly, and the host is the same. An address that is not on the public internet is used only for trusted
 * hosts, because any stranger can point an MX record at our own network. `family` is the one of the address that we
 * speak from, where there is one.
 */
export async function findAddresses(
  host: Host,
  resolver: Resolver,
  allowPrivate: boolean,
  family?: 4 | 6,
): Promise<Addresses> {
  const found = isIP(host.name) === 0 ? await lookUp(host.name, resolver) : [host.name];
  if ("kind" in found) return found;
  if (found.length === 0)
    return host.isImplicit
      ? none(true, "domain.takes-no-mail", `${host.name} has neither MX nor address records`)
      : none(false, "network.dns", phrase("path.no-address", { host: host.name }));
  const usable = host.isTrusted || allowPrivate ? found : found.filter((ip) => scopeOf(ip) === "public");
  const reached = family === undefined ? usable : usable.filter((ip) => isIP(ip) === family);
  if (reached.length > 0) return { kind: "addresses", addresses: ofBothFamilies(reached) };
  if (usable.length > 0)
    return none(
      false,
      "network.unreachable",
      `the mail server ${host.name} has no IPv${family} address, and the address we speak from is one`,
    );
  const [first = ""] = found;
  if (found.every((ip) => scopeOf(ip) === "this-host"))
    return none(true, "routing.loop", `the mail server ${host.name} has the address of ourselves, ${first}`);
  return none(false, "network.unreachable", phrase("path.private", { host: host.name, ip: first }));
}

/** The first of each family; the last place is kept for IPv6, whose way may stand when that of IPv4 does not. */
function ofBothFamilies(addresses: readonly string[]): readonly string[] {
  const v4 = addresses.filter((ip) => isIP(ip) === 4);
  const v6 = addresses.filter((ip) => isIP(ip) === 6);
  const v4Max = addressesMax - Math.min(1, v6.length);
  return [...v4.slice(0, v4Max), ...v6].slice(0, addressesMax);
}

async function lookUp(name: string, resolver: Resolver) {
  const [v4, v6] = await Promise.allSettled([resolver.a(name), resolver.aaaa(name)]);
  const found = [v4, v6].flatMap((result) => (result.status === "fulfilled" ? result.value.records : []));
  const failed = [v4, v6].find((result) => result.status === "rejected");
  return found.length === 0 && failed !== undefined ? dnsTrouble(name, failed.reason) : found;
}

/** Which part of the internet an address belongs to (RFC 6890 and the IANA special-purpose registries). */
export function scopeOf(ip: string): "public" | "private" | "this-host" {
  if (isIP(ip) === 4) return scopeOf4(ip.split(".").map(Number));
  const groups = expand(ip);
  const [first = 0, second = 0, third = 0] = groups;
  const head = groups.slice(0, 5).every((group) => group === 0);
  // ::ffff:a.b.c.d and the deprecated ::a.b.c.d are IPv4 in disguise, 64:ff9b::/96 (RFC 6052) is IPv4 behind a NAT64.
  const isNat64 = first === 0x64 && second === 0xff9b && groups.slice(2, 6).every((group) => group === 0);
  const embedded = (head && (groups[5] === 0xffff || groups[5] === 0)) || isNat64;
  const [high = 0, low = 0] = groups.slice(6);
  if (head && groups[5] === 0 && high === 0 && low <= 1) return "this-host";
  if (embedded) return scopeOf4([high >> 8, high & 255, low >> 8, low & 255]);
  // 6to4 (RFC 3056): the IPv4 address of the tunnel's other end.
  if (first === 0x2002) return scopeOf4([second >> 8, second & 255, third >> 8, third & 255]);
  const isGlobalUnicast = (first & 0xe000) === 0x2000;
  // 2001::/23 are protocols' own, Teredo among them; 2001:db8::/32 and 3fff::/20 are for documentation (RFC 9637).
  const isSpecial =
    (first === 0x2001 && (second < 0x200 || second === 0xdb8)) || (first === 0x3fff && second < 0x1000);
  return isGlobalUnicast && !isSpecial ? "public" : "private";
}

function scopeOf4([a = 0, b = 0, c = 0]: readonly number[]): "public" | "private" | "this-host" {
  if (a === 127 || a === 0) return "this-host";
  const isPrivate =
    a === 10 ||
    (a === 100 && b >= 64 && b < 128) ||
    (a === 169 && b === 254) ||
    (a === 172 && b >= 16 && b < 32) ||
    (a === 192 && b === 168) ||
    (a === 192 && b === 0 && (c === 0 || c === 2)) ||
    (a === 198 && (b === 18 || b === 19 || (b === 51 && c === 100))) ||
    (a === 203 && b === 0 && c === 113) ||
    a >= 224;
  return isPrivate ? "private" : "public";
}

/** The eight groups of an IPv6 address; the URL parser brings each spelling into the one of RFC 5952. */
function expand(ip: string): number[] {
  const canonical = new URL(`http://[${ip.replace(/%.*$/, "")}]/`).hostname.slice(1, -1);
  const [head = "", tail] = canonical.split("::");
  const before = head === "" ? [] : head.split(":");
  const after = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros = tail === undefined ? 0 : 8 - before.length - after.length;
  return [...before, ...Array.from({ length: zeros }, () => "0"), ...after].map((group) =>
    Number.parseInt(group, 16),
  );
}

const none = (isPermanent: boolean, reason: Reason, explanation: string) =>
  ({ kind: "none", isPermanent, reason, explanation }) as const;

function dnsTrouble(name: string, error: unknown) {
  if (!(error instanceof DnsError)) throw error;
  return none(false, "network.dns", phrase("path.dns", { domain: name, error: error.message }));
}
