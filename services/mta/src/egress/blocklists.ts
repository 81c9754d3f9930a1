import { isIPv6 } from "node:net";
import { phrase } from "@tyto/contracts";
import { DnsError, type Resolver, reverseName } from "@tyto/dns";
import type { Finding } from "./finding.ts";

/** A list of addresses, asked by DNS (RFC 5782). */
export type Blocklist = {
  zone: string;
  /** Receivers refuse what it lists: an address goes out of its pools. The others only warn. */
  takesOut: boolean;
  hasIpv6: boolean;
};

export const blocklists: readonly Blocklist[] = [
  { zone: "zen.spamhaus.org", takesOut: true, hasIpv6: true },
  { zone: "b.barracudacentral.org", takesOut: false, hasIpv6: false },
  { zone: "bl.spamcop.net", takesOut: false, hasIpv6: false },
  { zone: "psbl.surriel.com", takesOut: false, hasIpv6: true },
];

/** What lists say of themselves instead of an address, such as Spamhaus to resolvers that everybody uses. */
const refusals: Record<string, string> = {
  "127.255.255.252": phrase("check.list-unnamed", {}),
  "127.255.255.254": phrase("check.list-refuses", {}),
  "127.255.255.255": phrase("check.list-busy", {}),
};

/** Every list has the one and none has the other (RFC 5782 §5). */
const testPoints = { listed: "127.0.0.2", clean: "127.0.0.1" } as const;

type Answer =
  | { state: "listed"; codes: readonly string[] }
  | { state: "clean" }
  | { state: "unknown"; why: string };

/**
 * Asks a list about addresses, four at a time at most by the caller. A list that lists nobody or everybody, which happens to
 * those that are given up, is believed nothing: its two test points tell.
 */
export async function askBlocklist(
  list: Blocklist,
  ips: readonly string[],
  resolver: Resolver,
): Promise<ReadonlyMap<string, Finding>> {
  const known = ips.filter((ip) => list.hasIpv6 || !isIPv6(ip));
  const [listed, clean] = [
    await ask(list, testPoints.listed, resolver),
    await ask(list, testPoints.clean, resolver),
  ];
  const trouble =
    listed.state === "unknown"
      ? listed.why
      : listed.state === "clean"
        ? phrase("check.list-untrue", {})
        : clean.state === "listed"
          ? phrase("check.list-all", {})
          : undefined;
  const findings = new Map<string, Finding>();
  for (const ip of known) {
    const answer: Answer =
      trouble === undefined ? await ask(list, ip, resolver) : { state: "unknown", why: trouble };
    findings.set(ip, findingOf(list, ip, answer));
  }
  return findings;
}

function findingOf({ zone, takesOut }: Blocklist, ip: string, answer: Answer): Finding {
  switch (answer.state) {
    case "listed":
      return {
        state: takesOut ? "wrong" : "warning",
        say: phrase("check.listed", { zone, ip, codes: answer.codes.join(", ") }),
      };
    case "clean":
      return { state: "fine", say: phrase("check.not-listed", { zone, ip }) };
    case "unknown":
      return { state: "unknown", say: phrase("check.list-silent", { zone, why: answer.why }) };
  }
}

async function ask({ zone }: Blocklist, ip: string, resolver: Resolver): Promise<Answer> {
  const reversed = reverseName(ip).replace(/\.(in-addr|ip6)\.arpa$/, "");
  try {
    const { records } = await resolver.a(`${reversed}.${zone}`, { fresh: true });
    if (records.length === 0) return { state: "clean" };
    const refusal = records.map(
      (code) => refusals[code] ?? (code.startsWith("127.255.255.") ? code : undefined),
    );
    const why = refusal.find((words) => words !== undefined);
    if (why !== undefined) return { state: "unknown", why };
    // Resolvers that lead mistyped names to advertisements answer with addresses of the internet.
    if (!records.every((code) => code.startsWith("127.")))
      return { state: "unknown", why: `the resolver answers ${records.join(", ")}, which no list does` };
    return { state: "listed", codes: records };
  } catch (error) {
    if (!(error instanceof DnsError)) throw error;
    return { state: "unknown", why: error.message };
  }
}
