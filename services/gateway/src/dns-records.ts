/** The DNS records that a sending domain needs, and whether the world sees them. */
import type { DnsRecordView, DomainRecord, DomainView } from "@tyto/contracts";
import { DnsError, type Resolver } from "@tyto/dns";
import { covers, spfRecord } from "./spf.ts";

type PublicKey = Pick<DomainRecord["keys"][number], "selector" | "algorithm" | "publicKey">;

/** Names of mail servers and the return path that the records point at. */
export type MailHosts = {
  returnPathHost: string;
  mailHostname: string;
  /** SPF mechanisms of the addresses that mail leaves from, beside the mail host's. */
  senders: readonly string[];
};

/** Bounces to `x@<domain>` would meet the domain's own mail server, so the return path has a name of its own. */
export const returnPathHostOf = (domain: string) => `bounces.${domain}`;

/** The keys of a domain: those that sign, those that will, and those that did and whose mail may be under way. */
export type KeySets = Record<"keys" | "next" | "old", readonly PublicKey[]>;

/**
 * What to publish: DKIM once the keys exist, then SPF and MX of the return path, then DMARC. All unchecked. The domain is
 * in order without keys that do not sign.
 */
export function recordsOf(domain: string, { keys, next, old }: KeySets, hosts: MailHosts): DnsRecordView[] {
  const record = (
    purpose: DnsRecordView["purpose"],
    type: DnsRecordView["type"],
    name: string,
    value: string,
  ): DnsRecordView => ({
    purpose,
    type,
    name,
    value,
    required: purpose !== "dmarc",
    state: "unchecked",
    found: [],
  });
  const keyRecord = ({ selector, algorithm, publicKey }: PublicKey) => {
    const kind = algorithm === "ed25519-sha256" ? "ed25519" : "rsa";
    // RFC 6376 §3.6.1, RFC 8463 §4.
    return record("dkim", "TXT", `${selector}._domainkey.${domain}`, `v=DKIM1; k=${kind}; p=${publicKey}`);
  };
  return [
    ...keys.map(keyRecord),
    ...next.map((key) => ({ ...keyRecord(key), required: false, stage: "next" as const })),
    // SPF is asked for the domain of the return path (RFC 7208 §2.4).
    record("spf", "TXT", hosts.returnPathHost, spfRecord(hosts.mailHostname, hosts.senders)),
    record("return-path", "MX", hosts.returnPathHost, `10 ${hosts.mailHostname}`),
    // A policy of the owner's choice counts as found; this one asks receivers for nothing but reports (RFC 9989 §4.7), which
    // bounce takes there.
    record("dmarc", "TXT", `_dmarc.${domain}`, `v=DMARC1; p=none; rua=mailto:dmarc@${hosts.returnPathHost}`),
    ...old.map((key) => ({ ...keyRecord(key), required: false, stage: "old" as const })),
  ];
}

/** Looks every record up, past the cache; a name server that does not answer leaves a record `unreachable`. */
export const checkRecords = (
  resolver: Pick<Resolver, "txt" | "mx">,
  records: readonly DnsRecordView[],
): Promise<DnsRecordView[]> => Promise.all(records.map((record) => checkRecord(resolver, record)));

/** Strings of a TXT answer that are kept for display. */
const foundMax = 10;
const foundCharsMax = 1_000;

async function checkRecord(
  resolver: Pick<Resolver, "txt" | "mx">,
  record: DnsRecordView,
): Promise<DnsRecordView> {
  try {
    const found =
      record.type === "TXT"
        ? (await resolver.txt(record.name, { fresh: true })).records
        : (await resolver.mx(record.name, { fresh: true })).records.map(
            ({ preference, exchange }) => `${preference} ${exchange.toLowerCase()}`,
          );
    const own = found.filter((text) => isAbout[record.purpose](text));
    const relevant =
      own.length === 0 && record.purpose === "dmarc" ? await policyAbove(resolver, record.name) : own;
    return {
      ...record,
      state: stateOfRecord(record, relevant),
      found: relevant.slice(0, foundMax).map((text) => text.slice(0, foundCharsMax)),
    };
  } catch (error) {
    if (!(error instanceof DnsError)) throw error;
    return { ...record, state: "unreachable", found: [] };
  }
}

/** A domain without a policy of its own has that of a domain above it, of at most this many labels (RFC 9989 §4.10). */
const labelsAboveMax = 7;

async function policyAbove(resolver: Pick<Resolver, "txt">, name: string): Promise<string[]> {
  // `_dmarc`, then the domain's own first label.
  const above = name.split(".").slice(2).slice(-labelsAboveMax);
  for (let from = 0; from < above.length - 1; from++) {
    const { records } = await resolver.txt(`_dmarc.${above.slice(from).join(".")}`, { fresh: true });
    const policies = records.filter(isAbout.dmarc);
    if (policies.length > 0) return policies;
  }
  return [];
}

const isAbout: Record<DnsRecordView["purpose"], (text: string) => boolean> = {
  // The version tag of a key record is optional (RFC 6376 §3.6.1).
  dkim: (text) => /(^|;)\s*[vp]\s*=/i.test(text),
  spf: (text) => /^v=spf1( |$)/i.test(text),
  "return-path": () => true,
  dmarc: (text) => /^v=DMARC1\s*(;|$)/.test(text),
};

function stateOfRecord(record: DnsRecordView, found: readonly string[]): DnsRecordView["state"] {
  const [first, second] = found;
  if (first === undefined) return "missing";
  // More than one key, SPF or DMARC record is an error for receivers (RFC 6376 §3.6.2.2, RFC 7208 §4.5, RFC 7489 §6.6.3).
  if (record.type === "TXT" && second !== undefined) return "different";
  return found.some((text) => isAsWanted[record.purpose](text, record.value)) ? "found" : "different";
}

const isAsWanted: Record<DnsRecordView["purpose"], (found: string, wanted: string) => boolean> = {
  dkim: (found, wanted) => {
    const [have, want] = [tags(found), tags(wanted)];
    return have.get("p") === want.get("p") && (have.get("k") ?? "rsa") === want.get("k");
  },
  spf: covers,
  "return-path": (found, wanted) => found.split(" ")[1] === wanted.split(" ")[1],
  dmarc: (found) => /^(none|quarantine|reject)$/i.test(tags(found).get("p") ?? ""),
};

/** Tag=value list (RFC 6376 §3.2); white space has no meaning in the values compared here. */
const tags = (text: string) =>
  new Map(
    text.split(";").flatMap((part) => {
      const at = part.indexOf("=");
      return at < 0 ? [] : [[part.slice(0, at).trim().toLowerCase(), part.slice(at + 1).replace(/\s+/g, "")]];
    }),
  );

/** Where a domain stands. A look-up that found nobody to ask changes nothing. */
export function stateOfDomain(
  records: readonly DnsRecordView[],
  before: DomainView["state"],
): DomainView["state"] {
  if (!records.some(({ purpose, required }) => purpose === "dkim" && required)) return "preparing";
  const required = records.filter((record) => record.required);
  if (required.every(({ state }) => state === "found")) return "verified";
  const isOpen = required.some(({ state }) => state === "unreachable" || state === "unchecked");
  const isWrong = required.some(({ state }) => state === "missing" || state === "different");
  if (isOpen && !isWrong) return before === "preparing" ? "pending" : before;
  return before === "verified" || before === "failing" ? "failing" : "pending";
}
