import { domainOf, looksLikeAddress } from "./mailbox.ts";

/** Patterns of addresses that take mail: `ann@example.com`, or `*@example.com` for every address of a domain. */

/** What the gateway would take at first sight, for one of `domains`; the gateway decides. The words stand under `inbox.problem.`. */
export function inboxProblem(pattern: string, domains: readonly string[]): "pattern" | "domain" | undefined {
  const local = pattern.slice(0, pattern.lastIndexOf("@"));
  if (!looksLikeAddress(pattern) || (local !== "*" && local.includes("*"))) return "pattern";
  return domains.includes(domainOf(pattern)) ? undefined : "domain";
}

type Domain = {
  domain: string;
  records: readonly { purpose: string; type: string; value: string }[];
};

/** One MX record for each domain that has an inbox: to the host that takes bounces already (RFC 5321 §5.1). */
export function inboxRecords(
  patterns: readonly string[],
  domains: readonly Domain[],
): { type: "MX"; name: string; value: string }[] {
  const named = new Set(patterns.map(domainOf));
  return domains.flatMap(({ domain, records }) => {
    const value = records.find(({ purpose, type }) => purpose === "return-path" && type === "MX")?.value;
    return named.has(domain) && value !== undefined ? [{ type: "MX" as const, name: domain, value }] : [];
  });
}
