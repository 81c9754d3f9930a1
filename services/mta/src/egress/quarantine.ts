import type { QuarantineKind, QuarantineRecord } from "@tyto/contracts";
import type { Finding } from "./finding.ts";

/** Checks in a row that must find nothing before an address comes back: lists forget and remember within the hour. */
const cleanChecksMin: Record<QuarantineKind, number> = { "reverse-dns": 1, listed: 2 };
/** Several processes check; together they count one check in this time. */
const checkMsMin = 600_000;

export type Judgement =
  | { kind: "stay" }
  | { kind: "quarantine"; record: QuarantineRecord }
  | { kind: "note"; record: QuarantineRecord }
  | { kind: "release" };

/** What a finding makes of an address's quarantine, or of its freedom. */
export function judge(
  egress: string,
  kind: QuarantineKind,
  known: QuarantineRecord | undefined,
  { state, say }: Finding,
  nowMs: number,
): Judgement {
  if (state === "wrong") {
    if (known === undefined)
      return {
        kind: "quarantine",
        record: { egress, kind, why: say.slice(0, 300), since: nowMs, cleanChecks: 0 },
      };
    const { cleanAt: _, ...rest } = known;
    return known.cleanChecks === 0 ? { kind: "stay" } : { kind: "note", record: { ...rest, cleanChecks: 0 } };
  }
  if (known === undefined || state === "unknown") return { kind: "stay" };
  if (known.cleanAt !== undefined && nowMs - known.cleanAt < checkMsMin) return { kind: "stay" };
  const cleanChecks = known.cleanChecks + 1;
  return cleanChecks >= cleanChecksMin[kind]
    ? { kind: "release" }
    : { kind: "note", record: { ...known, cleanChecks, cleanAt: nowMs } };
}
