/** TLS reports (RFC 8460) as statistics: whether others could send to our domains over TLS, and what went wrong. */
import type { Payload } from "@tyto/contracts";
import { v } from "convex/values";
import type { Doc } from "../_generated/dataModel";
import type { MutationCtx, QueryCtx } from "../_generated/server";
import { defined } from "./defined.ts";
import { findDomain } from "./domains.ts";
import { authenticationOf, storedRawId } from "./inbound.ts";
import { dayOf, daysMax, domainDayRowsMax, sinceDay } from "./periods.ts";
import { authentication, type TlsFailure, tlsFailure } from "./shapes.ts";

const tlsFailuresMax = 50;
const reportsReadMax = 500;
const failuresShownMax = 100;

/** False if the report was counted before, in whichever message it came, or if the domain is not (or no more) ours. */
export async function applyTlsReport(ctx: MutationCtx, report: Payload<"report.tls">): Promise<boolean> {
  const { id, organizationId: _ours, policies, ...rest } = report;
  const { domain, reporter, reportId } = report;
  const present = await ctx.db
    .query("tlsReports")
    .withIndex("by_report", (range) =>
      range.eq("domain", domain).eq("reporter", reporter).eq("reportId", reportId),
    )
    .first();
  if (present !== null || (await findDomain(ctx, domain)) === null) return false;
  const succeeded = policies.reduce((sum, policy) => sum + policy.succeeded, 0);
  const failed = policies.reduce((sum, policy) => sum + policy.failed, 0);
  await ctx.db.insert("tlsReports", {
    ...rest,
    eventId: id,
    succeeded,
    failed,
    policies: policies.map(({ type, succeeded, failed }) => ({ type, succeeded, failed })),
    failures: policies
      .flatMap(({ failures }) => failures)
      .sort((a, b) => b.count - a.count)
      .slice(0, tlsFailuresMax)
      .map(defined),
  });
  const day = dayOf(report.beginAt);
  const row = await ctx.db
    .query("tlsDays")
    .withIndex("by_domain_day", (range) => range.eq("domain", domain).eq("day", day))
    .unique();
  if (row === null) await ctx.db.insert("tlsDays", { domain, day, succeeded, failed });
  else await ctx.db.patch(row._id, { succeeded: row.succeeded + succeeded, failed: row.failed + failed });
  return true;
}

export const tlsDay = v.object({ day: v.number(), succeeded: v.number(), failed: v.number() });

/** One domain day by day, oldest first; days without reports are left out. */
export async function tlsDays(ctx: QueryCtx, domain: string, sinceMs: number, nowMs: number) {
  const rows = await ctx.db
    .query("tlsDays")
    .withIndex("by_domain_day", (range) => range.eq("domain", domain).gte("day", sinceDay(sinceMs, nowMs)))
    .take(2 * daysMax);
  return rows.map(({ day, succeeded, failed }) => ({ day, succeeded, failed }));
}

export const tlsDomain = v.object({ domain: v.string(), succeeded: v.number(), failed: v.number() });

/** All domains that reports came for, those with most failures first. */
export async function tlsDomains(ctx: QueryCtx, sinceMs: number, nowMs: number) {
  const rows = await ctx.db
    .query("tlsDays")
    .withIndex("by_day", (range) => range.gte("day", sinceDay(sinceMs, nowMs)))
    .order("desc")
    .take(domainDayRowsMax);
  const domains = new Map<string, { succeeded: number; failed: number }>();
  for (const { domain, succeeded, failed } of rows) {
    const sum = domains.get(domain) ?? { succeeded: 0, failed: 0 };
    domains.set(domain, { succeeded: sum.succeeded + succeeded, failed: sum.failed + failed });
  }
  return [...domains]
    .map(([domain, sum]) => ({ domain, ...sum }))
    .sort((a, b) => b.failed - a.failed || (a.domain < b.domain ? -1 : 1));
}

/** What went wrong in the latest reports, the most frequent first. */
export async function tlsFailures(
  ctx: QueryCtx,
  domain: string,
  sinceMs: number,
  nowMs: number,
): Promise<TlsFailure[]> {
  const rows = await ctx.db
    .query("tlsReports")
    .withIndex("by_domain_beginAt", (range) =>
      range.eq("domain", domain).gte("beginAt", sinceDay(sinceMs, nowMs)),
    )
    .order("desc")
    .take(reportsReadMax);
  const sums = new Map<string, TlsFailure>();
  for (const failure of rows.flatMap(({ failures }) => failures)) {
    const key = JSON.stringify([failure.result, failure.sendingIp, failure.receivingMx]);
    const sum = sums.get(key);
    sums.set(key, { ...failure, ...sum, count: (sum?.count ?? 0) + failure.count });
  }
  return [...sums.values()].sort((a, b) => b.count - a.count).slice(0, failuresShownMax);
}

export const tlsReportRow = v.object({
  domain: v.string(),
  reporter: v.string(),
  reportId: v.string(),
  beginAt: v.number(),
  endAt: v.number(),
  succeeded: v.number(),
  failed: v.number(),
  policies: v.array(v.object({ type: v.string(), succeeded: v.number(), failed: v.number() })),
  failures: v.array(tlsFailure),
  /** Of the mail that brought it. */
  authentication: v.optional(authentication),
  rawId: v.optional(v.string()),
});

export async function tlsReportView(ctx: QueryCtx, row: Doc<"tlsReports">) {
  const { domain, reporter, reportId, beginAt, endAt, succeeded, failed, policies, failures, rawId } = row;
  const report = { domain, reporter, reportId, beginAt, endAt, succeeded, failed, policies, failures };
  const [authentication, storedId] = [await authenticationOf(ctx, rawId), await storedRawId(ctx, rawId)];
  return defined({ ...report, authentication, rawId: storedId });
}
