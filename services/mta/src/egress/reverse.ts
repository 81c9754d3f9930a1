import { phrase } from "@tyto/contracts";
import { DnsError, type Resolver } from "@tyto/dns";
import type { Egress } from "../egress.ts";
import { scopeOf } from "../mx.ts";
import type { Finding } from "./finding.ts";

/** Names of one address that are looked up. */
const namesMax = 10;

/**
 * Forward-confirmed reverse DNS (RFC 8601 §2.7.3, RFC 1912 §2.1): the address has a name, the name has the address, and what
 * we say in EHLO has it too. Large receivers refuse mail from addresses without. Where the operator named no address, or it
 * is seen through a proxy, those of the EHLO name are looked at, and nothing worse than a warning comes of it.
 */
export async function checkReverse(egress: Egress, resolver: Resolver): Promise<Finding> {
  try {
    const own = egress.proxy === undefined ? egress.localIp : undefined;
    if (own !== undefined) return await checkAddress(own, egress.ehloName, resolver, "wrong");
    if (egress.ehloName === "localhost") return { state: "unknown", say: phrase("check.no-hostname", {}) };
    const [ip] = await addressesOf(egress.ehloName, resolver);
    return ip === undefined
      ? { state: "warning", say: phrase("check.ehlo-unknown", { name: egress.ehloName }) }
      : await checkAddress(ip, egress.ehloName, resolver, "warning");
  } catch (error) {
    if (!(error instanceof DnsError)) throw error;
    return { state: "unknown", say: phrase("check.dns-silent", { error: error.message }) };
  }
}

async function checkAddress(
  ip: string,
  ehloName: string,
  resolver: Resolver,
  bad: "wrong" | "warning",
): Promise<Finding> {
  if (scopeOf(ip) !== "public") return { state: "unknown", say: phrase("check.private", { ip }) };
  const { records: names } = await resolver.ptr(ip, { fresh: true });
  if (names.length === 0)
    return {
      state: bad,
      say: phrase("check.no-name", { ip, name: ehloName }),
    };
  const looked = names.slice(0, namesMax);
  const found = await Promise.all(looked.map((name) => addressesOf(name, resolver)));
  const confirmed = looked.find((_, at) => found[at]?.some((address) => isSame(address, ip)));
  if (confirmed === undefined)
    return { state: bad, say: phrase("check.other-name", { ip, names: looked.join(", ") }) };
  if (!(await addressesOf(ehloName, resolver)).some((address) => isSame(address, ip)))
    return { state: bad, say: phrase("check.ehlo-other", { name: ehloName, ip }) };
  return { state: "fine", say: phrase("check.names", { ip, name: confirmed }) };
}

async function addressesOf(name: string, resolver: Resolver): Promise<string[]> {
  const [v4, v6] = await Promise.all([
    resolver.a(name, { fresh: true }),
    resolver.aaaa(name, { fresh: true }),
  ]);
  return [...v4.records, ...v6.records];
}

/** IPv6 addresses have many spellings; the URL parser knows the one of RFC 5952. */
const isSame = (a: string, b: string) => canonical(a) === canonical(b);
const canonical = (ip: string) => (ip.includes(":") ? new URL(`http://[${ip}]/`).hostname : ip);
