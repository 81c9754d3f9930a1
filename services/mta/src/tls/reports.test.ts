import { beforeEach, expect, test } from "bun:test";
import { gunzipSync } from "node:zlib";
import type { TlsReportClaim, TlsTally } from "@tyto/contracts";
import { DnsError } from "@tyto/dns";
import { silentLog } from "@tyto/service";
import { createReports, type ReportPorts } from "./reports.ts";
import type { TlsOutcome } from "./tally.ts";

const noonMs = Date.UTC(2026, 10, 20, 12);
const dayMs = 86_400_000;
const reporter = { domain: "sender.example", contact: "tls@sender.example" };

let nowMs: number;
/** TXT records by name. */
let records: Map<string, string[] | DnsError>;
let stored: Map<string, TlsTally>;
let claims: Map<string, TlsReportClaim>;
let posted: { to: string; report: unknown }[];
let mailed: string[];
/** Why posting fails. */
let trouble: string | undefined;
beforeEach(() => {
  nowMs = noonMs;
  records = new Map([
    ["_smtp._tls.example.org", ["v=TLSRPTv1; rua=https://reports.test/v1,mailto:tls@example.org"]],
  ]);
  stored = new Map();
  claims = new Map();
  posted = [];
  mailed = [];
  trouble = undefined;
});

const make = (process: string, change: Partial<ReportPorts> = {}) =>
  createReports({
    async txt(name) {
      const found = records.get(name) ?? [];
      if (found instanceof DnsError) throw found;
      return found;
    },
    tallies: {
      put: async (key, tally) => void stored.set(key, tally),
      async watch(onChange) {
        for (const [key, tally] of stored) onChange(key, tally);
        return { stop() {} };
      },
    },
    claims: {
      get: async (key) => claims.get(key),
      put: async (key, claim) => void claims.set(key, claim),
      async create(key, claim) {
        if (claims.has(key)) return false;
        claims.set(key, claim);
        return true;
      },
    },
    async post(url, packed) {
      if (trouble !== undefined) return trouble;
      posted.push({ to: url.href, report: JSON.parse(gunzipSync(packed).toString()) });
      return undefined;
    },
    async mail(_tally, _reporter, to) {
      if (trouble === "everything") return trouble;
      mailed.push(to);
      return undefined;
    },
    reporter,
    process,
    now: () => nowMs,
    random: () => 0,
    log: silentLog,
    ...change,
  });
const ok: TlsOutcome = {
  type: "no-policy-found",
  lines: [],
  mx: [],
  host: "mx.example.org",
  ip: "192.0.2.1",
};
const failure: TlsOutcome = { ...ok, problem: { result: "starttls-not-supported", why: "no STARTTLS" } };
const settled = () => new Promise((resolve) => setImmediate(resolve));
/** What the DNS said about who wants reports has been heard. */
const counting = async (reports: ReturnType<typeof make>, ...outcomes: TlsOutcome[]) => {
  for (const outcome of outcomes) reports.count("example.org", outcome);
  await settled();
  await reports.save();
};

test("the day after, a domain gets its counts at the first destination", async () => {
  const reports = make("a");
  await counting(reports, ok, ok, failure);
  await reports.send();
  expect(posted).toEqual([]);
  nowMs += dayMs;
  await reports.send();
  expect(posted).toMatchObject([
    {
      to: "https://reports.test/v1",
      report: {
        "report-id": "2026-11-20_example.org@sender.example",
        policies: [{ summary: { "total-successful-session-count": 2, "total-failure-session-count": 1 } }],
      },
    },
  ]);
  expect(mailed).toEqual([]);
});

test("a report is sent once, whichever process looks for it", async () => {
  const [a, b] = [make("a"), make("b")];
  await counting(a, ok);
  await counting(b, ok, failure);
  nowMs += dayMs;
  await Promise.all([a.send(), b.send()]);
  await Promise.all([a.send(), b.send()]);
  expect(posted).toMatchObject([
    {
      report: {
        policies: [{ summary: { "total-successful-session-count": 2, "total-failure-session-count": 1 } }],
      },
    },
  ]);
});

test("what a process counted before it died is in the report of the next one", async () => {
  await counting(make("died"), ok, ok);
  nowMs += dayMs;
  await make("next").send();
  expect(posted).toMatchObject([
    { report: { policies: [{ summary: { "total-successful-session-count": 2 } }] } },
  ]);
});

test("what was counted late in a day is stored when the next begins, and what is counted then stands apart", async () => {
  const reports = make("a");
  reports.count("example.org", ok);
  await settled();
  nowMs += dayMs;
  reports.count("example.org", failure);
  await reports.save();
  expect(
    [...stored.values()].map(({ day, policies }) => [day, policies[0]?.succeeded, policies[0]?.failed]),
  ).toEqual([
    ["2026-11-20", 1, 0],
    ["2026-11-21", 0, 1],
  ]);
});

test("the next destination takes the report when the first does not", async () => {
  trouble = "status 500";
  const reports = make("a");
  await counting(reports, ok);
  nowMs += dayMs;
  await reports.send();
  expect(mailed).toEqual(["tls@example.org"]);
});

test("a report that nobody takes is tried again for a day", async () => {
  trouble = "everything";
  const reports = make("a");
  await counting(reports, ok);
  nowMs += dayMs;
  await reports.send();
  trouble = undefined;
  await reports.send();
  expect(posted).toEqual([]);
  nowMs += 3_600_000;
  await reports.send();
  expect(posted).toHaveLength(1);
  trouble = "everything";
  claims.clear();
  for (let tries = 0; tries < 40; tries++) {
    nowMs += 600_000;
    await reports.send();
  }
  expect(claims.get("2026-11-20.example.org")).toMatchObject({ tries: 24, isSent: false });
});

test("a bucket that is away when reports are due is asked again the next time", async () => {
  await counting(make("died"), ok);
  let isAway = true;
  const reports = make("next", {
    tallies: {
      put: async () => {},
      async watch(onChange) {
        if (isAway) throw new Error("the bus is away");
        for (const [key, tally] of stored) onChange(key, tally);
        return { stop() {} };
      },
    },
  });
  nowMs += dayMs;
  await expect(reports.send()).rejects.toThrow("the bus is away");
  isAway = false;
  await reports.send();
  expect(posted).toHaveLength(1);
});

test("a domain that wants no report is not kept", async () => {
  records.clear();
  const reports = make("a");
  await counting(reports, ok);
  reports.count("example.org", ok);
  expect(reports.status()).toMatchObject({ domains: 0, uncounted: 0 });
  expect(stored.size).toBe(0);
});

test("DNS that does not tell keeps the counts, and the report waits for it", async () => {
  const answer = records.get("_smtp._tls.example.org");
  records.set("_smtp._tls.example.org", new DnsError("timeout", "nobody answers"));
  const reports = make("a");
  await counting(reports, ok);
  nowMs += dayMs;
  await reports.send();
  expect(claims.size).toBe(0);
  if (answer !== undefined) records.set("_smtp._tls.example.org", answer);
  await reports.send();
  expect(posted).toHaveLength(1);
});

test("without somebody to report from, sessions are counted and nothing is sent", async () => {
  const reports = make("a", { reporter: undefined });
  await counting(reports, ok);
  nowMs += dayMs;
  await reports.send();
  expect([posted, mailed]).toEqual([[], []]);
  expect(reports.status()).toMatchObject({ isSending: false });
  expect(stored.size).toBe(1);
});

test("memory is bounded: domains beyond ten thousand are only counted as such", async () => {
  const reports = make("a", { txt: async () => ["v=TLSRPTv1; rua=mailto:a@example.org"] });
  for (let index = 0; index < 10_050; index++) reports.count(`d${index}.example`, ok);
  expect(reports.status()).toMatchObject({ domains: 10_000, uncounted: 50 });
  await settled();
  await reports.save();
  expect(stored.size).toBe(200);
});

test("stopping stores what is left, and a bucket that is away loses nothing that it can take later", async () => {
  let isAway = true;
  const reports = make("a", {
    tallies: {
      async put(key, tally) {
        if (isAway) throw new Error("the bus is away");
        stored.set(key, tally);
      },
      watch: async () => ({ stop() {} }),
    },
  });
  const running = reports.run();
  await counting(reports, ok);
  expect(stored.size).toBe(0);
  isAway = false;
  await running.stop();
  expect(stored.size).toBe(1);
});
