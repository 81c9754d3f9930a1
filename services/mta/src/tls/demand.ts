import type { DaneFinding } from "./dane.ts";
import { danePeerProblem, type Peer, pkixProblem } from "./peer.ts";
import type { TlsProblem } from "./result.ts";
import type { StsFinding } from "./sts.ts";
import { allowsMx } from "./sts-policy.ts";
import { type Tlsa, tlsaText, usableRecords } from "./tlsa.ts";

/** What the operator asks of every session to a domain, whatever the domain publishes. */
export type Floor = "opportunistic" | "encrypted" | "verified";

/** Everything that has a say in how one message travels to one host of its recipient's domain. */
export type Facts = {
  /** The recipient's domain. */
  domain: string;
  /** The mail server, as its MX record names it. */
  host: string;
  /** The server's name is certain: its MX record is authenticated by DNSSEC, or the operator named it. */
  isHostCertain: boolean;
  floor: Floor;
  sts: StsFinding;
  dane: DaneFinding;
  /** `true`: REQUIRETLS. `false`: the sender wrote `TLS-Required: No` (RFC 8689). */
  requireTls: boolean | undefined;
  /** The operator's own way, not the domain's mail server: sessions to it are nobody's to report. */
  isRouted?: boolean;
};

/** What one policy wants of a session. */
export type Clause = {
  policy: "floor" | "sts" | "dane" | "require-tls";
  /** A breach keeps mail from this host; else it is only told. */
  isEnforced: boolean;
  needs: "nothing" | "encryption" | "certificate" | "tlsa";
  /** A breach that is known before anybody connects. */
  problem?: TlsProblem;
  /** The breach will not pass by waiting. */
  isPermanent?: boolean;
};

/** What a session to a host has to be, for one message. */
export type Demand = {
  domain: string;
  host: string;
  clauses: readonly Clause[];
  /** For SNI and certificates. */
  serverName: string;
  tlsa?: { records: readonly Tlsa[]; names: readonly string[]; texts: readonly string[] };
  /** What the domain publishes, for reports. */
  sts: StsFinding;
  /** Sessions may be shared by deliveries whose keys are equal; empty where nothing is demanded. */
  key: string;
  isRouted?: boolean;
};

type Rule = (facts: Facts) => readonly Clause[];

/** Each has its own say; all of them hold, so that the strictest wins. */
const rules: readonly Rule[] = [floorRule, stsRule, daneRule, requireTlsRule];

/** What to ask of a session to this host. Pure. */
export function demandOf(facts: Facts): Demand {
  const { domain, host, dane, sts } = facts;
  const clauses = rules.flatMap((rule) => rule(facts));
  const usable = dane.kind === "records" ? usableRecords(dane.records) : [];
  const serverName = dane.kind === "records" ? dane.baseName : host;
  const demand: Omit<Demand, "key"> = { domain, host, clauses, serverName, sts };
  if (facts.isRouted === true) demand.isRouted = true;
  if (dane.kind === "records" && usable.length > 0)
    demand.tlsa = {
      records: usable,
      // RFC 7672 §3.2.2: the base domain of the records, and the domain that the mail is for.
      names: [...new Set([dane.baseName, domain])],
      texts: dane.records.map(tlsaText),
    };
  return { ...demand, key: keyOf(demand) };
}

function floorRule({ floor }: Facts): readonly Clause[] {
  if (floor === "opportunistic") return [];
  return [{ policy: "floor", isEnforced: true, needs: floor === "verified" ? "certificate" : "encryption" }];
}

/** RFC 8461 §5: `testing` tells and delivers. A policy that cannot be fetched is as good as none (§3.3). */
function stsRule({ sts, host, requireTls }: Facts): readonly Clause[] {
  if (sts.kind === "failed")
    return [{ policy: "sts", isEnforced: false, needs: "nothing", problem: sts.problem }];
  if (sts.kind === "none" || sts.policy.mode === "none") return [];
  const clause: Clause = {
    policy: "sts",
    isEnforced: sts.policy.mode === "enforce" && requireTls !== false,
    needs: "certificate",
  };
  if (allowsMx(sts.policy, host)) return [clause];
  const why = `the domain's MTA-STS policy does not name ${host} as a mail server`;
  return [{ ...clause, problem: { result: "validation-failure", why } }];
}

/**
 * RFC 7672 §2.2: records that match nothing we know still demand encryption; DNS that does not tell means to wait, because
 * nobody knows whether there are records.
 */
function daneRule({ dane, requireTls }: Facts): readonly Clause[] {
  const isEnforced = requireTls !== false;
  switch (dane.kind) {
    case "none":
      return [];
    case "failed":
      return [
        {
          policy: "dane",
          isEnforced,
          needs: "nothing",
          problem: { result: "dnssec-invalid", why: dane.why },
        },
      ];
    case "records":
      if (usableRecords(dane.records).length > 0) return [{ policy: "dane", isEnforced, needs: "tlsa" }];
      return [
        { policy: "dane", isEnforced, needs: "encryption" },
        {
          policy: "dane",
          isEnforced: false,
          needs: "nothing",
          problem: { result: "tlsa-invalid", why: `no TLSA record at ${dane.baseName} can be used for SMTP` },
        },
      ];
  }
}

/** RFC 8689 §4.2.1: a certain name, and a certificate that proves it, by DANE or by an authority. */
function requireTlsRule({ requireTls, isHostCertain, sts, dane, host, domain }: Facts): readonly Clause[] {
  if (requireTls !== true) return [];
  const isProvedByDane = dane.kind === "records" && usableRecords(dane.records).length > 0;
  const clause: Clause = {
    policy: "require-tls",
    isEnforced: true,
    needs: isProvedByDane ? "encryption" : "certificate",
  };
  const isNamedBySts = sts.kind === "policy" && sts.policy.mode !== "none" && allowsMx(sts.policy, host);
  if (isHostCertain || isNamedBySts) return [clause];
  const why = `5.7.30 the message requires TLS all the way, and nothing proves that ${host} is a mail server of ${domain}: neither DNSSEC nor MTA-STS (RFC 8689)`;
  return [{ ...clause, problem: { result: "validation-failure", why }, isPermanent: true }];
}

function keyOf({ clauses, tlsa }: Omit<Demand, "key">): string {
  const needs = new Set(clauses.filter(({ isEnforced }) => isEnforced).map((clause) => clause.needs));
  const parts: string[] = [];
  if (needs.has("certificate")) parts.push("certificate");
  if (needs.has("tlsa") && tlsa !== undefined) {
    // The names count only for records of an authority.
    const names = tlsa.records.some(({ usage }) => usage === 2) ? tlsa.names : [];
    parts.push(`tlsa=${Bun.hash([...tlsa.texts.toSorted(), ...names].join(" ")).toString(16)}`);
  }
  if (needs.has("encryption") && parts.length === 0) parts.push("encryption");
  return parts.join("+");
}

/** The breach because of which nobody need connect, if there is one. */
export const refusalOf = ({ clauses }: Demand): (TlsProblem & { isPermanent: boolean }) | undefined => {
  const clause = clauses.find(({ isEnforced, problem }) => isEnforced && problem !== undefined);
  return clause?.problem && { ...clause.problem, isPermanent: clause.isPermanent === true };
};

/** Whether a session that is not encrypted is out of the question. */
export const isTlsDemanded = ({ clauses }: Demand): boolean =>
  clauses.some(({ isEnforced, needs }) => isEnforced && needs !== "nothing");

/** How far the encryption of a session came. */
export type Encryption =
  | { kind: "peer"; peer: Peer | undefined }
  /** The server does not offer TLS, or refused. */
  | { kind: "not-offered" }
  /** TLS was begun and did not come about. */
  | { kind: "failed"; why: string };

/** What one policy found. Without `problem` it is met. */
export type Finding = Pick<Clause, "policy" | "isEnforced"> & { problem?: TlsProblem };

/** What each policy says to a session. Pure. */
export function judge(demand: Demand, encryption: Encryption, nowMs: number): Finding[] {
  return demand.clauses.map((clause) => {
    const problem = clause.problem ?? problemOf(demand, clause, encryption, nowMs);
    const { policy, isEnforced } = clause;
    return problem === undefined ? { policy, isEnforced } : { policy, isEnforced, problem };
  });
}

function problemOf(
  { host, tlsa }: Demand,
  { needs }: Clause,
  encryption: Encryption,
  nowMs: number,
): TlsProblem | undefined {
  if (needs === "nothing") return undefined;
  if (encryption.kind === "not-offered")
    return { result: "starttls-not-supported", why: "it does not offer to encrypt the session" };
  if (encryption.kind === "failed") return { result: "validation-failure", why: encryption.why };
  if (needs === "encryption") return undefined;
  const { peer } = encryption;
  if (peer === undefined)
    return { result: "certificate-not-trusted", why: "it shows no certificate that can be read" };
  if (needs === "certificate") return pkixProblem(peer, host);
  return danePeerProblem(peer, tlsa?.records ?? [], tlsa?.names ?? [], nowMs);
}

/** The first breach of an enforced policy. */
export const breachOf = (findings: readonly Finding[]): TlsProblem | undefined =>
  findings.find(({ isEnforced, problem }) => isEnforced && problem !== undefined)?.problem;
