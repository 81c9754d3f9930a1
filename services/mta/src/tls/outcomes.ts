import type { Demand, Encryption, Finding } from "./demand.ts";
import type { TlsOutcome } from "./tally.ts";

/** What came of opening a session. `encryption` is absent when nobody connected. */
export type OpenedSession = {
  encryption?: Encryption;
  findings: readonly Finding[];
  ip?: string;
  localIp?: string | undefined;
};

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
  switch (encryption?.kind) {
    case undefined:
      return [];
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
