import { type BreakdownBar, type BreakdownRange, breakdownBars } from "./breakdown.ts";

/** What other providers report about our domains: DMARC (RFC 9990) and TLS (RFC 8460), counted per day in UTC. */
export const reportKinds = ["dmarc", "tls"] as const;
export type ReportKind = (typeof reportKinds)[number];
export type ReportRange = Exclude<BreakdownRange, "day">;
export const reportRanges: ReportRange[] = ["week", "month"];

export type DmarcSum = { messages: number; passed: number; quarantined: number; rejected: number };
export type TlsSum = { succeeded: number; failed: number };
export type ReportDomain = { domain: string; dmarc: DmarcSum | undefined; tls: TlsSum | undefined };

/** Every domain of ours and every domain with reports, the busiest first. */
export function reportDomains(
  own: readonly string[],
  dmarc: readonly (DmarcSum & { domain: string })[],
  tls: readonly (TlsSum & { domain: string })[],
): ReportDomain[] {
  const names = new Set([...own, ...dmarc.map(({ domain }) => domain), ...tls.map(({ domain }) => domain)]);
  return [...names]
    .map((domain) => ({
      domain,
      dmarc: dmarc.find((sum) => sum.domain === domain),
      tls: tls.find((sum) => sum.domain === domain),
    }))
    .toSorted(
      (a, b) =>
        (b.dmarc?.messages ?? 0) - (a.dmarc?.messages ?? 0) ||
        sessions(b.tls) - sessions(a.tls) ||
        a.domain.localeCompare(b.domain),
    );
}

const sessions = (sum: TlsSum | undefined) => (sum === undefined ? 0 : sum.succeeded + sum.failed);

/** Two series, what passed below what failed; `bars` start at `sinceMs`. */
export function reportBars(
  days: readonly { day: number; passed: number; failed: number }[],
  range: ReportRange,
  sinceMs: number,
): { keys: string[]; bars: BreakdownBar[] } {
  const series = (key: "passed" | "failed") => ({
    key,
    points: days.map((one) => ({ at: one.day, count: one[key] })),
  });
  return breakdownBars([series("passed"), series("failed")], range, sinceMs);
}

/** How much of the whole failed, as a tone: a little is usual (forwarding breaks SPF, and lists break DKIM). */
export function failureTone(failed: number, whole: number): "success" | "warning" | "error" {
  if (failed === 0) return "success";
  return failed / whole < alarmingShare ? "warning" : "error";
}
const alarmingShare = 0.2;

/** The record that asks others for TLS reports about a domain (RFC 8460 §3), to the host that takes its bounces. */
export function tlsReportRecord(
  domain: string,
  records: readonly { purpose: string; type: string; name: string }[],
): { type: "TXT"; name: string; value: string } | undefined {
  const host = records.find(({ purpose, type }) => purpose === "return-path" && type === "MX")?.name;
  return host === undefined
    ? undefined
    : { type: "TXT", name: `_smtp._tls.${domain}`, value: `v=TLSRPTv1; rua=mailto:tlsrpt@${host}` };
}
