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
    if (egress.ehloName === "localhost")
      return { state: "unknown", say: "MAIL_HOSTNAME is not set: to others it is nobody's name" };
    const [ip] = await addressesOf(egress.ehloName, resolver);
    return ip === undefined
      ? { state: "warning", say: `${egress.ehloName}, our name in EHLO, has no address in DNS` }
      : await checkAddress(ip, egress.ehloName, resolver, "warning");
  } catch (error) {
    if (!(error instanceof DnsError)) throw error;
    return { state: "unknown", say: `DNS did not tell: ${error.message}` };
  }
}

async function checkAddress(
  ip: string,
  ehloName: string,
  resolver: Resolver,
  bad: "wrong" | "warning",
): Promise<Finding> {
  if (scopeOf(ip) !== "public")
    return { state: "unknown", say: `${ip} is a private address: what others see of it is not known here` };
  const { records: names } = await resolver.ptr(ip, { fresh: true });
  if (names.length === 0)
    return {
      state: bad,
      say: `${ip} has no name: let whoever gives you the address set its PTR record to ${ehloName}`,
    };
  const looked = names.slice(0, namesMax);
  const found = await Promise.all(looked.map((name) => addressesOf(name, resolver)));
  const confirmed = looked.find((_, at) => found[at]?.some((address) => isSame(address, ip)));
  if (confirmed === undefined)
    return { state: bad, say: `${ip} is called ${looked.join(", ")}, which does not have this address` };
  if (!(await addressesOf(ehloName, resolver)).some((address) => isSame(address, ip)))
    return { state: bad, say: `${ehloName}, our name in EHLO, does not have the address ${ip}` };
  return { state: "fine", say: `${ip} is ${confirmed}, and back` };
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
