/**
 * DMARC aggregate reports (RFC 9990) as statistics: whose servers send in the name of a domain of ours, and whether their
 * mail passes. Reports are a stranger's claim, so they are counted and shown and decide nothing.
 */
import type { Payload } from "@tyto/contracts";
import { v } from "convex/values";
import type { Doc } from "../_generated/dataModel";
import type { MutationCtx, QueryCtx } from "../_generated/server";
import { defined } from "./defined.ts";
import { findDomain } from "./domains.ts";
import { authenticationOf, storedRawId } from "./inbound.ts";
import { dayOf, daysMax, domainDayRowsMax, sinceDay } from "./periods.ts";
import { authentication, type DmarcCounts, dmarcCounts, dmarcPolicy } from "./shapes.ts";

type Report = Payload<"report.dmarc">;
type Row = Report["rows"][number];

export const reportDaysKept = 400;
/** Sources of one domain and day; more are counted under "other". */
export const sourcesPerDayMax = 500;
const namesPerSourceMax = 5;
/** Rows read for one answer about sources: the latest ones. */
const sourceRowsMax = 8_000;
const sourcesShownMax = 200;
const otherSource = "other";

/**
 * False if the same part of the report was counted before, in whichever message it came, or if the domain is not (or no
 * more) ours.
 */
export async function applyDmarcReport(ctx: MutationCtx, report: Report): Promise<boolean> {
  const { domain, reporter, reportId, part } = report;
  const present = await ctx.db
    .query("dmarcReports")
    .withIndex("by_report", (range) =>
      range.eq("domain", domain).eq("reporter", reporter).eq("reportId", reportId).eq("part", part),
    )
    .first();
  if (present !== null || (await findDomain(ctx, domain)) === null) return false;
  const day = dayOf(report.beginAt);
  const counts = report.rows.map(countsOf).reduce(plus, noCounts);
  const { id, organizationId: _ours, rows, ...rest } = report;
  await ctx.db.insert(
    "dmarcReports",
    defined({ ...rest, policy: defined(report.policy), eventId: id, ...counts }),
  );
  await addToDay(ctx, domain, day, counts);
  await addToSources(ctx, domain, day, rows);
  return true;
}

const noCounts: DmarcCounts = {
  messages: 0,
  passed: 0,
  dkimAligned: 0,
  spfAligned: 0,
  quarantined: 0,
  rejected: 0,
};

const countsOf = ({ count, dkimAligned, spfAligned, disposition }: Row): DmarcCounts => ({
  messages: count,
  passed: dkimAligned || spfAligned ? count : 0,
  dkimAligned: dkimAligned ? count : 0,
  spfAligned: spfAligned ? count : 0,
  quarantined: disposition === "quarantine" ? count : 0,
  rejected: disposition === "reject" ? count : 0,
});

const plus = (a: DmarcCounts, b: DmarcCounts): DmarcCounts => ({
  messages: a.messages + b.messages,
  passed: a.passed + b.passed,
  dkimAligned: a.dkimAligned + b.dkimAligned,
  spfAligned: a.spfAligned + b.spfAligned,
  quarantined: a.quarantined + b.quarantined,
  rejected: a.rejected + b.rejected,
});

async function addToDay(ctx: MutationCtx, domain: string, day: number, counts: DmarcCounts) {
  const row = await ctx.db
    .query("dmarcDays")
    .withIndex("by_domain_day", (range) => range.eq("domain", domain).eq("day", day))
    .unique();
  if (row === null) await ctx.db.insert("dmarcDays", { domain, day, ...counts });
  else await ctx.db.patch(row._id, plus(row, counts));
}

type Source = DmarcCounts & { dkimDomains: string[]; spfDomains: string[] };

async function addToSources(ctx: MutationCtx, domain: string, day: number, rows: readonly Row[]) {
  const sources = new Map<string, Source>();
  const add = (ip: string, source: Source) => sources.set(ip, merged(sources.get(ip), source));
  for (const row of rows)
    add(row.sourceIp, {
      ...countsOf(row),
      dkimDomains: row.dkim.map(({ domain }) => domain),
      spfDomains: row.spf.map(({ domain }) => domain),
    });
  const present = await ctx.db
    .query("dmarcSources")
    .withIndex("by_domain_day_sourceIp", (range) => range.eq("domain", domain).eq("day", day))
    .take(sourcesPerDayMax + 1);
  const known = new Map(present.map((row) => [row.sourceIp, row]));
  let room = sourcesPerDayMax - known.size;
  for (const ip of [...sources.keys()])
    if (!known.has(ip) && room-- <= 0) {
      const source = sources.get(ip);
      sources.delete(ip);
      if (source !== undefined) add(otherSource, { ...source, dkimDomains: [], spfDomains: [] });
    }
  for (const [sourceIp, source] of sources) {
    const row = known.get(sourceIp);
    if (row === undefined)
      await ctx.db.insert("dmarcSources", { domain, day, sourceIp, ...merged(undefined, source) });
    else await ctx.db.patch(row._id, merged(row, source));
  }
}

const merged = (a: Source | undefined, b: Source): Source => ({
  ...plus(a ?? noCounts, b),
  dkimDomains: names(a?.dkimDomains, b.dkimDomains),
  spfDomains: names(a?.spfDomains, b.spfDomains),
});

const names = (a: readonly string[] = [], b: readonly string[]) =>
  [...new Set([...a, ...b].filter((name) => name !== ""))].sort().slice(0, namesPerSourceMax);

export const dmarcDay = v.object({ day: v.number(), ...dmarcCounts });

/** One domain day by day, oldest first; days without reports are left out. */
export async function dmarcDays(ctx: QueryCtx, domain: string, sinceMs: number, nowMs: number) {
  const rows = await ctx.db
    .query("dmarcDays")
    .withIndex("by_domain_day", (range) => range.eq("domain", domain).gte("day", sinceDay(sinceMs, nowMs)))
    .take(2 * daysMax);
  return rows.map(({ day, ...row }) => ({ day, ...plus(noCounts, row) }));
}

export const dmarcSource = v.object({
  sourceIp: v.string(),
  ...dmarcCounts,
  lastDay: v.number(),
  dkimDomains: v.array(v.string()),
  spfDomains: v.array(v.string()),
});

/** Who sent in the name of a domain, the busiest first. `isPartial`: only the latest days fitted into the answer. */
export async function dmarcSources(ctx: QueryCtx, domain: string, sinceMs: number, nowMs: number) {
  const rows = await ctx.db
    .query("dmarcSources")
    .withIndex("by_domain_day_sourceIp", (range) =>
      range.eq("domain", domain).gte("day", sinceDay(sinceMs, nowMs)),
    )
    .order("desc")
    .take(sourceRowsMax);
  const sources = new Map<string, Source & { lastDay: number }>();
  for (const row of rows) {
    const source = sources.get(row.sourceIp);
    sources.set(row.sourceIp, { ...merged(source, row), lastDay: Math.max(source?.lastDay ?? 0, row.day) });
  }
  return {
    sources: [...sources]
      .map(([sourceIp, source]) => ({ sourceIp, ...source }))
      .sort((a, b) => b.messages - a.messages || (a.sourceIp < b.sourceIp ? -1 : 1))
      .slice(0, sourcesShownMax),
    isPartial: rows.length === sourceRowsMax || sources.size > sourcesShownMax,
  };
}

export const dmarcReportRow = v.object({
  domain: v.string(),
  reporter: v.string(),
  reportId: v.string(),
  part: v.number(),
  beginAt: v.number(),
  endAt: v.number(),
  policy: dmarcPolicy,
  ...dmarcCounts,
  /** Of the mail that brought it: `dmarc: "pass"` says that the reporter is who it says. */
  authentication: v.optional(authentication),
  rawId: v.optional(v.string()),
});

export async function dmarcReportView(ctx: QueryCtx, row: Doc<"dmarcReports">) {
  const { domain, reporter, reportId, part, beginAt, endAt, policy, rawId } = row;
  const report = { domain, reporter, reportId, part, beginAt, endAt, policy, ...plus(noCounts, row) };
  const [authentication, storedId] = [await authenticationOf(ctx, rawId), await storedRawId(ctx, rawId)];
  return defined({ ...report, authentication, rawId: storedId });
}

export const dmarcDomain = v.object({ domain: v.string(), lastDay: v.number(), ...dmarcCounts });

/** All domains that reports came for, the busiest first. */
export async function dmarcDomains(ctx: QueryCtx, sinceMs: number, nowMs: number) {
  const rows = await ctx.db
    .query("dmarcDays")
    .withIndex("by_day", (range) => range.gte("day", sinceDay(sinceMs, nowMs)))
    .order("desc")
    .take(domainDayRowsMax);
  const domains = new Map<string, DmarcCounts & { lastDay: number }>();
  for (const row of rows) {
    const sum = domains.get(row.domain);
    domains.set(row.domain, { ...plus(sum ?? noCounts, row), lastDay: Math.max(sum?.lastDay ?? 0, row.day) });
  }
  return [...domains]
    .map(([domain, sum]) => ({ domain, ...sum }))
    .sort((a, b) => b.messages - a.messages || (a.domain < b.domain ? -1 : 1));
}
