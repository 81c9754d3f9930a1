import { expect, test } from "bun:test";
import { failureTone, reportBars, reportDomains, tlsReportRecord } from "./report.ts";

const dayMs = 86_400_000;
const dmarc = (domain: string, messages: number) => ({
  domain,
  messages,
  passed: messages,
  quarantined: 0,
  rejected: 0,
});

test("every domain is listed once, ours without reports too, the busiest first", () => {
  const rows = reportDomains(
    ["quiet.test", "busy.test"],
    [dmarc("some.test", 3), dmarc("busy.test", 9)],
    [{ domain: "tls.test", succeeded: 1, failed: 0 }],
  );
  expect(rows.map(({ domain }) => domain)).toEqual(["busy.test", "some.test", "tls.test", "quiet.test"]);
  expect(rows[0]?.dmarc?.messages).toBe(9);
  expect(rows[3]).toEqual({ domain: "quiet.test", dmarc: undefined, tls: undefined });
});

test("days become bars of what passed and what failed, days without reports empty ones", () => {
  const { keys, bars } = reportBars([{ day: 3 * dayMs, passed: 5, failed: 2 }], "week", 2 * dayMs);
  expect(keys).toEqual(["passed", "failed"]);
  expect(bars.slice(0, 3).map(({ counts }) => counts)).toEqual([
    [0, 0],
    [5, 2],
    [0, 0],
  ]);
  expect(bars).toHaveLength(7);
});

test("a few failures warn, many alarm", () => {
  expect([failureTone(0, 100), failureTone(1, 100), failureTone(20, 100), failureTone(1, 1)]).toEqual([
    "success",
    "warning",
    "error",
    "error",
  ]);
});

test("the record for TLS reports names the host that takes bounces, once that is known", () => {
  const records = [{ purpose: "return-path", type: "MX", name: "bounces.sender.test" }];
  expect(tlsReportRecord("sender.test", records)).toEqual({
    type: "TXT",
    name: "_smtp._tls.sender.test",
    value: "v=TLSRPTv1; rua=mailto:tlsrpt@bounces.sender.test",
  });
  expect(tlsReportRecord("sender.test", [])).toBeUndefined();
});
