import { isIP } from "node:net";
import { type Answer, DnsError, type Resolver, wireName } from "@tyto/dns";
import type { Tlsa } from "./tlsa.ts";

/** What DNS says about a host's TLSA records. */
export type DaneFinding =
  /** None, or none that DNSSEC vouches for. */
  | { kind: "none" }
  /** `baseName` is the name below which they stand, which the certificate has to be for (RFC 7672 §2.2.3). */
  | { kind: "records"; records: readonly Tlsa[]; baseName: string }
  /** Nobody can tell: DNS failed, or somebody makes it fail. */
  | { kind: "failed"; why: string };

const none: DaneFinding = { kind: "none" };

/**
 * Looks up the TLSA records of a mail server whose name is certain (RFC 7672 §2.2). They are asked for only where the
 * server's addresses, or at least its alias, are signed: elsewhere there can be none, and old name servers fail on the
 * question (§2.1.3).
 */
export async function findTlsa(
  host: { name: string; port: number },
  resolver: Resolver,
): Promise<DaneFinding> {
  if (isIP(host.name) !== 0) return none;
  for (const baseName of await baseNames(host.name, resolver)) {
    let answer: Answer<"TLSA">;
    try {
      answer = await resolver.tlsa(`_${host.port}._tcp.${baseName}`);
    } catch (error) {
      if (!(error instanceof DnsError)) throw error;
      if (error.kind === "name") continue;
      return { kind: "failed", why: `DNS did not tell about TLSA records of ${baseName}: ${error.message}` };
    }
    if (answer.status === "ok" && answer.authenticated && answer.records.length > 0)
      return { kind: "records", records: answer.records, baseName };
  }
  return none;
}

/** Where TLSA records may stand: at the end of the host's aliases first, then at its own name. */
async function baseNames(name: string, resolver: Resolver): Promise<readonly string[]> {
  const own = wireName(name);
  const results = await Promise.allSettled([resolver.a(own), resolver.aaaa(own)]);
  const answers = results
    .flatMap<Answer<"A" | "AAAA">>((result) => (result.status === "fulfilled" ? [result.value] : []))
    .filter(({ status }) => status === "ok");
  const [first] = answers;
  // Without an address nobody connects.
  if (first === undefined) return [];
  const isSigned = answers.every(({ authenticated }) => authenticated);
  if (first.canonicalName === own) return isSigned ? [own] : [];
  if (isSigned) return [first.canonicalName, own];
  try {
    return (await resolver.query(own, "CNAME")).authenticated ? [own] : [];
  } catch (error) {
    if (!(error instanceof DnsError)) throw error;
    // The alias led to an address a moment ago; the records would have to stand at a name that is now unknown.
    return [own];
  }
}
