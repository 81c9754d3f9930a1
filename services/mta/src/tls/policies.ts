import { DnsError, type Resolver, wireName } from "@tyto/dns";
import type { Host } from "../mx.ts";
import { type DaneFinding, findTlsa } from "./dane.ts";
import { type Demand, demandOf, type Encryption, type Finding } from "./demand.ts";
import { type Floors, floorOf } from "./floor.ts";
import type { createReports } from "./reports.ts";
import type { Sts, StsFinding } from "./sts.ts";
import type { TlsOutcome } from "./tally.ts";

export type TlsPolicyPorts = {
  resolver: Pick<Resolver, "mx" | "a" | "aaaa" | "query" | "tlsa">;
  floors: Floors;
  sts: Sts;
  reports: Pick<ReturnType<typeof createReports>, "count" | "status" | "tallyOf">;
};

/** What came of opening a session, for reports. */
export type OpenedSession = {
  encryption: Encryption;
  findings: readonly Finding[];
  ip?: string;
  localIp?: string | undefined;
};

export type TlsPolicies = ReturnType<typeof createTlsPolicies>;

const noPolicy: StsFinding = { kind: "none" };
const noRecords: DaneFinding = { kind: "none" };

/** Everything that decides about the encryption of sessions: MTA-STS, DANE, REQUIRETLS and what the operator asks. */
export function createTlsPolicies({ resolver, floors, sts, reports }: TlsPolicyPorts) {
  /** Whether DNSSEC vouches for the names of a domain's mail servers. A failure is a no: finding the path fails too then. */
  async function isMxAuthenticated(domain: string): Promise<boolean> {
    try {
      return (await resolver.mx(domain)).authenticated;
    } catch (error) {
      if (!(error instanceof DnsError)) throw error;
      return false;
    }
  }

  return {
    /**
     * What a session to this host has to be for a message to `domain`. Hosts of the operator's own routes are bound by the
     * floor and the message alone. May wait seconds for the policy of a domain that nobody has written to before.
     */
    async demandOf(
      host: Pick<Host, "name" | "port" | "isTrusted">,
      domain: string,
      requireTls: boolean | undefined,
    ): Promise<Demand> {
      const facts = { domain, host: host.name, floor: floorOf(floors, domain), requireTls };
      if (host.isTrusted) return demandOf({ ...facts, isHostCertain: true, sts: noPolicy, dane: noRecords });
      const [policy, isHostCertain] = await Promise.all([
        sts.find(wireName(domain)),
        isMxAuthenticated(domain),
      ]);
      const dane = isHostCertain ? await findTlsa(host, resolver) : noRecords;
      return demandOf({ ...facts, isHostCertain, sts: policy, dane });
    },

    /** Counts a session that was opened, or refused because of its encryption, for the reports to its domain. */
    see(demand: Demand, session: OpenedSession): void {
      for (const outcome of outcomesOf(demand, session)) reports.count(demand.domain, outcome);
    },

    status: () => ({ sts: sts.status(), reports: reports.status() }),

    /** What is known of one domain, without asking anybody. */
    domain: (domain: string) => ({
      floor: floorOf(floors, domain),
      ...sts.remembered(domain),
      today: reports.tallyOf(domain),
    }),
  };
}

/** A session counts once for each policy that the domain publishes, or once as one without (RFC 8460 §4.2). */
export function outcomesOf(
  demand: Demand,
  { encryption, findings, ip, localIp }: OpenedSession,
): TlsOutcome[] {
  const where = {
    host: demand.host,
    ...(ip === undefined ? {} : { ip }),
    ...(localIp === undefined ? {} : { localIp }),
  };
  const problemOf = (policy: Finding["policy"]) => {
    const problem = findings.find(
      (finding) => finding.policy === policy && finding.problem !== undefined,
    )?.problem;
    return problem === undefined ? {} : { problem };
  };
  const outcomes: TlsOutcome[] = [];
  const { sts, tlsa } = demand;
  if (demand.clauses.some(({ policy }) => policy === "sts"))
    outcomes.push({
      type: "sts",
      lines: sts.kind === "policy" ? linesOf(sts.policy) : [],
      mx: sts.kind === "policy" ? sts.policy.mx : [],
      ...where,
      ...problemOf("sts"),
    });
  if (demand.clauses.some(({ policy }) => policy === "dane"))
    outcomes.push({ type: "tlsa", lines: tlsa?.texts ?? [], mx: [], ...where, ...problemOf("dane") });
  if (outcomes.length > 0) return outcomes;
  const plain: TlsOutcome = { type: "no-policy-found", lines: [], mx: [], ...where };
  switch (encryption.kind) {
    case "peer":
      return [plain];
    case "not-offered":
      return [
        {
          ...plain,
          problem: { result: "starttls-not-supported", why: "it does not offer to encrypt the session" },
        },
      ];
    case "failed":
      return [{ ...plain, problem: { result: "validation-failure", why: encryption.why } }];
  }
}

/** The policy as its file has it (RFC 8460 §4.4 asks for its lines). */
const linesOf = ({ mode, mx, maxAgeS }: { mode: string; mx: readonly string[]; maxAgeS: number }) => [
  "version: STSv1",
  `mode: ${mode}`,
  ...mx.map((name) => `mx: ${name}`),
  `max_age: ${maxAgeS}`,
];
