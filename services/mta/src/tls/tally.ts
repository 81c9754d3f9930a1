import type { TlsTally } from "@tyto/contracts";
import type { TlsProblem } from "./result.ts";

export type PolicyTally = TlsTally["policies"][number];
export type FailureTally = PolicyTally["failures"][number];

/** One session, or one that did not come about, as one policy of the domain sees it. */
export type TlsOutcome = {
  type: PolicyTally["type"];
  /** What the domain published. */
  lines: readonly string[];
  mx: readonly string[];
  problem?: TlsProblem;
  /** The server; absent when nobody connected. */
  host?: string;
  ip?: string;
  localIp?: string;
};

const max = { policies: 8, failures: 50, lines: 110, mx: 100, lineChars: 300, whyChars: 300 };

/** The day of a moment, UTC: `2026-11-21`. */
export const dayOf = (atMs: number): string => new Date(atMs).toISOString().slice(0, 10);

/** Counts one outcome in `tally`. Policies and kinds of failures beyond the bounds are counted with the last of them. */
export function addOutcome(tally: TlsTally, outcome: TlsOutcome): void {
  const lines = outcome.lines.slice(0, max.lines).map((line) => line.slice(0, max.lineChars));
  const policy = policyIn(tally, { type: outcome.type, lines, mx: outcome.mx.slice(0, max.mx) });
  const { problem } = outcome;
  if (problem === undefined) {
    policy.succeeded++;
    return;
  }
  policy.failed++;
  addFailure(policy, {
    result: problem.result,
    ...(outcome.host === undefined ? {} : { mx: outcome.host }),
    ...(outcome.ip === undefined ? {} : { ip: outcome.ip }),
    ...(outcome.localIp === undefined ? {} : { localIp: outcome.localIp }),
    why: problem.why.slice(0, max.whyChars),
    count: 1,
  });
}

/** The counts of several processes as one. */
export function mergeTallies(day: string, domain: string, tallies: readonly TlsTally[]): TlsTally {
  const merged: TlsTally = { day, domain, policies: [] };
  for (const { policies } of tallies)
    for (const each of policies) {
      const policy = policyIn(merged, each);
      policy.succeeded += each.succeeded;
      policy.failed += each.failed;
      for (const failure of each.failures) addFailure(policy, failure);
    }
  return merged;
}

function policyIn(
  { policies }: TlsTally,
  { type, lines, mx }: { type: PolicyTally["type"]; lines: readonly string[]; mx: readonly string[] },
): PolicyTally {
  const known = policies.find(
    (policy) => policy.type === type && policy.lines.join("\n") === lines.join("\n"),
  );
  const last = policies.at(-1);
  if (known !== undefined) return known;
  if (policies.length >= max.policies && last !== undefined) return last;
  const fresh: PolicyTally = { type, lines: [...lines], mx: [...mx], succeeded: 0, failed: 0, failures: [] };
  policies.push(fresh);
  return fresh;
}

function addFailure({ failures }: PolicyTally, failure: FailureTally): void {
  const same = failures.find(
    (known) =>
      known.result === failure.result &&
      known.mx === failure.mx &&
      known.ip === failure.ip &&
      known.localIp === failure.localIp,
  );
  if (same !== undefined) same.count += failure.count;
  else if (failures.length < max.failures) failures.push({ ...failure });
}
