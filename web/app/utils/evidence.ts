import type { BreakdownView } from "~/utils/breakdown.ts";

/** What made an address suppressed, where Convex wrote it down in its own words; undefined for the words of a server. */
export type Evidence = { view: BreakdownView; key: string; reporter?: string | undefined };

export function evidenceOf(evidence: string | undefined): Evidence | undefined {
  const method = /^unsubscribed by ([a-z-]+)$/.exec(evidence ?? "")?.[1];
  if (method !== undefined) return { view: "unsubscribes", key: method };
  const [, feedback, reporter] =
    /^(abuse|fraud|virus|opt-out|other)(?: reported by (\S+))?$/.exec(evidence ?? "") ?? [];
  return feedback === undefined ? undefined : { view: "complaints", key: feedback, reporter };
}
