import { describe, expect, test } from "bun:test";
import type { Payload, StoredEvent } from "@tyto/contracts";
import { suppressionKey } from "@tyto/contracts";
import { api, internal } from "./_generated/api";
import { cellsMax, takeFromBreakdown, withHappenings } from "./model/breakdowns.ts";
import { sourcesPerDayMax } from "./model/dmarcReports.ts";
import { mailDaysMax } from "./retention.ts";
import {
  address,
  asGateway,
  asRecorder,
  asUser,
  messageId,
  noon,
  sample,
  startConvex,
  type TestDeployment,
} from "./samples.testing.ts";

const dayMs = 86_400_000;
const start = () => startConvex({ now: () => noon + 3_600_000 });
const apply = (t: TestDeployment, ...events: StoredEvent[]) =>
  t.mutation(internal.record.apply, { events: JSON.stringify(events) });
const firstPage = { numItems: 50, cursor: null };
const addDomain = (t: TestDeployment, domain = "example.com") =>
  asGateway(t).mutation(api.service.addDomain, { domain, returnPathHost: `bounces.${domain}`, records: [] });
const suppressions = async (t: TestDeployment) =>
  (await t.run((ctx) => ctx.db.query("suppressions").collect())).map(({ address, cause }) => [
    address,
    cause,
  ]);

describe("a complaint suppresses the recipient that it is about", () => {
  test("the delivery's own address, not the one that the report names", async () => {
    const t = start();
    await apply(
      t,
      sample("mail.accepted"),
      sample("mail.complained", { claimedRecipient: "x@evil.example" }),
    );
    expect(await suppressions(t)).toEqual([[address(), "complaint"]]);
    expect(await t.run((ctx) => ctx.db.query("changes").collect())).toMatchObject([
      { bucket: "SUPPRESSIONS", key: suppressionKey(address()) },
    ]);
  });

  test("never when it says not spam", async () => {
    const t = start();
    await apply(t, sample("mail.accepted"), sample("mail.complained", { feedback: "not-spam" }));
    expect(await suppressions(t)).toEqual([]);
    const user = await asUser(t);
    expect((await user.query(api.complaints.list, { paginationOpts: firstPage })).page).toEqual([]);
  });

  test("as an unsubscription when it says opt-out", async () => {
    const t = start();
    await apply(t, sample("mail.accepted"), sample("mail.complained", { feedback: "opt-out" }));
    expect(await suppressions(t)).toEqual([[address(), "unsubscribe"]]);
    const user = await asUser(t);
    expect((await user.query(api.complaints.list, { paginationOpts: firstPage })).page).toEqual([]);
    expect((await user.query(api.unsubscribes.list, { paginationOpts: firstPage })).page).toMatchObject([
      { recipient: address(), reason: "report", evidence: "yahoo.com" },
    ]);
  });

  test("by its Message-ID alone only where the message has one recipient", async () => {
    const [one, two] = [start(), start()];
    const complaint = sample("mail.complained", { deliveryId: undefined });
    await apply(one, sample("mail.accepted"), complaint);
    expect(await suppressions(one)).toEqual([[address(), "complaint"]]);
    const recipients = [0, 1].map((index) => ({ address: address(index), role: "to" }));
    await apply(two, complaint, sample("mail.accepted", { recipients }));
    expect(await suppressions(two)).toEqual([]);
  });

  test("and outranks a bounce, whichever came first", async () => {
    for (const events of [
      [sample("mail.accepted"), sample("mail.bounced"), sample("mail.complained")],
      [sample("mail.complained"), sample("mail.bounced"), sample("mail.accepted")],
    ]) {
      const t = start();
      for (const event of events) await apply(t, event);
      expect(await suppressions(t)).toEqual([[address(), "complaint"]]);
    }
  });
});

test("an unsubscription suppresses, once, and the delivery stays delivered", async () => {
  const t = start();
  await apply(t, sample("mail.accepted"), sample("mail.delivered"), sample("mail.unsubscribed"));
  expect(await apply(t, sample("mail.unsubscribed"))).toEqual({ applied: 0, repeated: 1 });
  expect(await suppressions(t)).toEqual([[address(), "unsubscribe"]]);
  const found = await asGateway(t).query(api.service.getMessage, { messageId });
  expect(found?.deliveries).toMatchObject([{ status: "delivered" }]);
  expect(found?.timeline.map(({ subject }) => subject)).toContain("mail.unsubscribed");
});

describe("lists and charts", () => {
  test("bounces and complaints by reason, provider and domain, with whom they are about and the raw report", async () => {
    const t = start();
    const user = await asUser(t);
    const recipients = [0, 1].map((index) => ({ address: address(index), role: "to" }));
    const google = { reason: "mailbox.full", hard: false, recipient: "a@gmail.com", rawId: "raw9" };
    await apply(
      t,
      sample("mail.accepted", { recipients }),
      sample("mail.bounced"),
      sample("mail.bounced", google, 1),
      sample("mail.complained"),
    );
    const storageId = await t.run((ctx) => ctx.storage.store(new Blob(["raw"])));
    await t.mutation(internal.inbound.keepRawFiles, { files: [{ rawId: "raw9", storageId, bytes: 3 }] });

    const list = await user.query(api.bounces.list, { paginationOpts: firstPage });
    expect(list.page).toMatchObject([
      { recipient: "a@gmail.com", reason: "mailbox.full", provider: "google", domain: "example.com" },
      { recipient: address(), reason: "mailbox.unknown", evidence: "550 5.1.1 User unknown" },
    ]);
    expect(list.page[0]?.rawId).toBeString();
    const some = async (filter: { reason?: string; provider?: string }) =>
      (await user.query(api.bounces.list, { ...filter, paginationOpts: firstPage })).page.length;
    expect(await some({ provider: "google" })).toBe(1);
    expect(await some({ reason: "mailbox.unknown" })).toBe(1);
    expect(await some({ reason: "mailbox.unknown", provider: "google" })).toBe(0);

    const chart = (by: "reason" | "provider" | "domain", filter = {}) =>
      user.query(api.bounces.overTime, { sinceMs: noon - dayMs, by, ...filter });
    expect(await chart("reason")).toMatchObject({
      periodMs: 3_600_000,
      total: 2,
      hard: 1,
      groups: [
        { key: "mailbox.full", count: 1, hard: 0 },
        { key: "mailbox.unknown", count: 1, hard: 1 },
      ],
      series: [
        { key: "mailbox.full", points: [{ at: noon, count: 1 }] },
        { key: "mailbox.unknown", points: [{ at: noon, count: 1 }] },
      ],
    });
    expect((await chart("provider", { reason: "mailbox.full" })).groups).toMatchObject([{ key: "google" }]);
    expect((await chart("domain")).groups).toEqual([{ key: "example.com", count: 2, hard: 1 }]);
    expect((await chart("domain", { domain: "example.org" })).total).toBe(0);

    const complaints = await user.query(api.complaints.overTime, {
      sinceMs: noon - 30 * dayMs,
      by: "provider",
    });
    expect(complaints).toMatchObject({ periodMs: dayMs, groups: [{ key: "yahoo", count: 1 }] });
    expect((await user.query(api.complaints.list, { paginationOpts: firstPage })).page).toMatchObject([
      { recipient: address(), reason: "abuse", evidence: "yahoo.com" },
    ]);
  });

  test("what came in by kind, and what was not understood with its reason", async () => {
    const t = start();
    const user = await asUser(t);
    await apply(
      t,
      sample("mail.received"),
      sample("mail.received", {
        id: "2.received",
        inboundId: "inbound2",
        kind: "unclear",
        why: "a report in a format that is not known",
        at: noon + 1,
      }),
    );
    const unclear = await user.query(api.inbound.list, { kind: "unclear", paginationOpts: firstPage });
    expect(unclear.page).toMatchObject([
      { inboundId: "inbound2", why: "a report in a format that is not known" },
    ]);
    expect((await user.query(api.inbound.list, { paginationOpts: firstPage })).page).toHaveLength(2);
    const chart = await user.query(api.inbound.overTime, { sinceMs: noon, by: "reason" });
    expect(chart.groups).toMatchObject([{ key: "mail" }, { key: "unclear" }]);
  });

  test("answers, of one message or of all, with their text", async () => {
    const t = start();
    const user = await asUser(t);
    await apply(t, sample("mail.accepted"), sample("mail.replied"));
    for (const filter of [{}, { messageId }])
      expect(
        (await user.query(api.replies.list, { ...filter, paginationOpts: firstPage })).page,
      ).toMatchObject([
        { messageId, text: "Thank you, it arrived.", authentication: { dmarc: "pass", arc: "none" } },
      ]);
    const other = { messageId: "another", paginationOpts: firstPage };
    expect((await user.query(api.replies.list, other)).page).toEqual([]);
  });

  test("are for signed-in people only", async () => {
    const t = start();
    for (const ask of [
      () => t.query(api.bounces.overTime, { sinceMs: 0, by: "reason" }),
      () => t.query(api.dmarc.domains, { sinceMs: 0 }),
      () => t.query(api.tlsReports.domains, { sinceMs: 0 }),
      () => t.query(api.inboxes.list, {}),
      () => asRecorder(t).query(api.replies.list, { paginationOpts: firstPage }),
    ])
      await expect(ask()).rejects.toThrow();
  });
});

describe("DMARC reports", () => {
  const part = (changed: Partial<Payload<"report.dmarc">> = {}) =>
    sample("report.dmarc", { id: crypto.randomUUID(), ...changed });

  test("count once, whichever message brought them, per day and source", async () => {
    const t = start();
    const user = await asUser(t);
    await addDomain(t);
    await apply(t, part());
    expect(await apply(t, part())).toEqual({ applied: 0, repeated: 1 });
    await apply(t, part({ part: 1 }), part({ reportId: "other", reporter: "yahoo.com" }));
    const counts = { messages: 27, passed: 21, dkimAligned: 21, spfAligned: 21, quarantined: 0, rejected: 6 };
    const day = noon - dayMs - ((noon - dayMs) % dayMs);
    const since = { domain: "example.com", sinceMs: noon - 7 * dayMs };
    expect(await user.query(api.dmarc.days, since)).toEqual([{ day, ...counts }]);
    expect(await user.query(api.dmarc.domains, { sinceMs: since.sinceMs })).toEqual([
      { domain: "example.com", lastDay: day, ...counts },
    ]);
    expect(await user.query(api.dmarc.sources, since)).toMatchObject({
      isPartial: false,
      sources: [
        { sourceIp: "192.0.2.10", messages: 21, passed: 21, dkimDomains: ["example.com"] },
        { sourceIp: "203.0.113.9", messages: 6, rejected: 6, spfDomains: ["spammer.example"] },
      ],
    });
    const reports = await user.query(api.dmarc.reports, { domain: "example.com", paginationOpts: firstPage });
    expect(reports.page).toHaveLength(3);
    await apply(t, sample("mail.received", { inboundId: "raw4-1", kind: "dmarc-report" }));
    const after = await user.query(api.dmarc.reports, { domain: "example.com", paginationOpts: firstPage });
    expect(after.page[0]?.authentication).toMatchObject({ dmarc: "pass" });
    expect(reports.page[0]).toMatchObject({ policy: { p: "reject" }, messages: 9 });
  });

  test("about a domain that is not ours change nothing", async () => {
    const t = start();
    expect(await apply(t, part())).toEqual({ applied: 0, repeated: 1 });
    expect(await t.run((ctx) => ctx.db.query("dmarcDays").collect())).toEqual([]);
  });

  test("with endless sources fill a bounded number of rows and lose no count", async () => {
    const t = start();
    await addDomain(t);
    const row = sample("report.dmarc").payload.rows[0];
    for (const number of [0, 1]) {
      const rows = Array.from({ length: 400 }, (_, index) => ({
        ...row,
        count: 1,
        sourceIp: `198.51.${number}.${index}`,
      }));
      await apply(t, part({ part: number, rows: rows as Payload<"report.dmarc">["rows"] }));
    }
    const rows = await t.run((ctx) => ctx.db.query("dmarcSources").collect());
    expect(rows).toHaveLength(sourcesPerDayMax + 1);
    expect(rows.reduce((sum, { messages }) => sum + messages, 0)).toBe(800);
    expect(rows.find(({ sourceIp }) => sourceIp === "other")?.messages).toBe(300);
  });
});

test("TLS reports count once, per day, with what went wrong", async () => {
  const t = start();
  const user = await asUser(t);
  await addDomain(t);
  const tls = (changed = {}) => sample("report.tls", { id: crypto.randomUUID(), ...changed });
  await apply(t, tls(), tls({ reportId: "second" }));
  expect(await apply(t, tls())).toEqual({ applied: 0, repeated: 1 });
  expect(await apply(t, tls({ domain: "elsewhere.example" }))).toEqual({ applied: 0, repeated: 1 });
  const since = { domain: "example.com", sinceMs: noon - 7 * dayMs };
  expect(await user.query(api.tlsReports.days, since)).toMatchObject([{ succeeded: 80, failed: 4 }]);
  expect(await user.query(api.tlsReports.domains, { sinceMs: since.sinceMs })).toEqual([
    { domain: "example.com", succeeded: 80, failed: 4 },
  ]);
  expect(await user.query(api.tlsReports.failures, since)).toEqual([
    { result: "certificate-expired", count: 4, receivingMx: "mx.example.com" },
  ]);
  for (const filter of [{}, { domain: "example.com" }])
    expect(
      (await user.query(api.tlsReports.list, { ...filter, paginationOpts: firstPage })).page,
    ).toHaveLength(2);
});

describe("inboxes", () => {
  test("reach the change log when they come and go, and the snapshot", async () => {
    const t = start();
    await addDomain(t);
    const gateway = asGateway(t);
    const add = (pattern: string) => gateway.mutation(api.service.addInbox, { pattern });
    await add("support@example.com");
    await add("support@example.com");
    await add("*@example.com");
    expect(await (await asUser(t)).query(api.inboxes.list, {})).toMatchObject([
      { pattern: "*@example.com" },
      { pattern: "support@example.com" },
    ]);
    const snapshot = await asRecorder(t).query(api.sync.snapshot, { bucket: "INBOXES", cursor: null });
    expect(snapshot.rows.map(({ key }) => key).sort()).toEqual(
      [suppressionKey("*@example.com"), suppressionKey("support@example.com")].sort(),
    );
    expect(await gateway.mutation(api.service.removeInbox, { pattern: "*@example.com" })).toBe(true);
    expect(await gateway.mutation(api.service.removeInbox, { pattern: "*@example.com" })).toBe(false);
    const { changes } = await asRecorder(t).query(api.sync.changes, { after: 0 });
    expect(changes.filter(({ bucket }) => bucket === "INBOXES").map(({ value }) => value === null)).toEqual([
      false,
      false,
      true,
    ]);
  });

  test("are of domains of ours only", async () => {
    const t = start();
    for (const pattern of ["a@elsewhere.example", "Support@example.com", "@example.com"])
      await expect(asGateway(t).mutation(api.service.addInbox, { pattern })).rejects.toThrow();
  });
});

test("a row of counts has a bound, and what does not fit counts as other", () => {
  const happenings = Array.from({ length: 2_000 }, (_, index) => ({
    kind: "bounce" as const,
    at: 0,
    reason: index % 2 === 0 ? "mailbox.full" : "expired",
    hard: false,
    provider: `p${index}.example`,
    domain: "example.com",
  }));
  const cells = withHappenings([], happenings);
  expect(cells.length).toBeLessThanOrEqual(cellsMax.bounce + 2);
  const more = withHappenings(cells, [{ ...happenings[0], kind: "complaint", at: 0 } as never]);
  expect(more.at(-1)).toMatchObject({ kind: "complaint", provider: "p0.example", count: 1 });
  expect(cells.reduce((sum, { count }) => sum + count, 0)).toBe(2_000);
  expect(cells.filter(({ provider }) => provider === "other")).toHaveLength(2);
});

test("what is taken back leaves the counts of its shard, or those of other, and never what left long ago", async () => {
  const t = startConvex();
  const happening = (provider: string) => ({
    ...{ kind: "bounce" as const, at: noon, reason: "mailbox.full", hard: false },
    ...{ provider, domain: "example.com" },
  });
  const cell = (provider: string, count: number) => {
    const { at: _when, ...rest } = happening(provider);
    return { ...rest, count, domain: provider === "other" ? "other" : rest.domain };
  };
  await t.run(async (ctx) => {
    const hour = { period: "hour" as const, at: noon };
    await ctx.db.insert("breakdowns", { ...hour, shard: 0, cells: [cell("google", 1), cell("other", 2)] });
    await ctx.db.insert("breakdowns", { ...hour, shard: 1, cells: [cell("yahoo", 2)] });
    await takeFromBreakdown(ctx, [
      ...["yahoo", "google", "nobody.example"].map(happening),
      { ...happening("yahoo"), at: noon - dayMs },
    ]);
  });
  const rows = await t.run((ctx) => ctx.db.query("breakdowns").collect());
  expect(rows.map(({ cells }) => cells)).toEqual([[cell("other", 1)], [cell("yahoo", 1)]]);
});

test("failures, answers and reports leave with mail; sums per day stay longer", async () => {
  const t = startConvex({ now: () => noon });
  await addDomain(t);
  await apply(
    t,
    sample("mail.accepted"),
    sample("mail.bounced"),
    sample("mail.replied"),
    sample("report.dmarc"),
    sample("report.tls"),
  );
  const rows = () =>
    t.run(async (ctx) => ({
      failures: (await ctx.db.query("failures").collect()).length,
      replies: (await ctx.db.query("replies").collect()).length,
      reports:
        (await ctx.db.query("dmarcReports").collect()).length +
        (await ctx.db.query("tlsReports").collect()).length,
      sources: (await ctx.db.query("dmarcSources").collect()).length,
      days:
        (await ctx.db.query("dmarcDays").collect()).length + (await ctx.db.query("tlsDays").collect()).length,
      breakdowns: (await ctx.db.query("breakdowns").collect()).map(({ period }) => period).sort(),
    }));
  const sweep = async () => {
    await t.mutation(internal.retention.sweepAll, {});
    await t.finishAllScheduledFunctions();
  };
  expect(await rows()).toEqual({
    failures: 1,
    replies: 1,
    reports: 2,
    sources: 2,
    days: 2,
    breakdowns: ["day", "hour"],
  });
  t.advance((mailDaysMax + 1) * dayMs);
  await sweep();
  expect(await rows()).toEqual({
    failures: 0,
    replies: 0,
    reports: 0,
    sources: 0,
    days: 2,
    breakdowns: ["day"],
  });
  t.advance(400 * dayMs);
  await sweep();
  expect(await rows()).toMatchObject({ days: 0, breakdowns: [] });
});
