import { expect, test } from "bun:test";
import { gzipSync } from "node:zlib";
import type { TlsTally } from "@tyto/contracts";
import { parseTlsJson } from "@tyto/mail";
import PostalMime from "postal-mime";
import { parseReportRecord, reportFileName, reportJson, reportMail } from "./report.ts";
import { addOutcome, dayOf, mergeTallies } from "./tally.ts";

const reporter = { domain: "sender.example", contact: "tls@sender.example" };
const tally: TlsTally = {
  day: "2026-11-20",
  domain: "example.org",
  policies: [
    {
      type: "sts",
      lines: ["version: STSv1", "mode: enforce", "mx: mx.example.org", "max_age: 86400"],
      mx: ["mx.example.org"],
      succeeded: 12,
      failed: 3,
      failures: [
        {
          result: "certificate-expired",
          mx: "mx.example.org",
          ip: "192.0.2.1",
          localIp: "192.0.2.9",
          why: "its certificate ended on 1 May",
          count: 3,
        },
      ],
    },
  ],
};

const shown = (records: string[]) =>
  parseReportRecord(records).map((one) => (one.kind === "https" ? one.url.href : one.address));

test("destinations are read from exactly one record, in their order", () => {
  expect(
    shown(["v=TLSRPTv1; rua=mailto:tls%2Breports@example.org,https://reports.example.org/v1?a=b"]),
  ).toEqual(["tls+reports@example.org", "https://reports.example.org/v1?a=b"]);
  expect(shown(["v=TLSRPTv1;rua=mailto:a@example.org;x=y", "other"])).toEqual(["a@example.org"]);
});

test.each([
  [[]],
  [["v=TLSRPTv1; rua=mailto:a@b.example", "v=TLSRPTv1; rua=mailto:c@d.example"]],
  [["v=TLSRPTv10; rua=mailto:a@b.example"]],
  [["v=TLSRPTv1;"]],
  [["v=TLSRPTv1; rua=http://example.org/"]],
  [["v=TLSRPTv1; rua=ftp://example.org/, nonsense"]],
  [["v=TLSRPTv1; rua=https://user:secret@example.org/"]],
  [["v=TLSRPTv1; rua=mailto:%zz@example.org"]],
  [["v=TLSRPTv1; rua=mailto:nobody"]],
  [["v=TLSRPTv1; rua=mailto:a%0d%0aBcc:b@example.org"]],
])("%j names none", (records) => {
  expect(shown(records)).toEqual([]);
});

test("5,000 broken records name destinations that can be used, or none", () => {
  let state = 3;
  const next = (below: number) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  const whole = "v=TLSRPTv1; rua=mailto:tls@example.org,https://reports.example.org/v1";
  const pieces = [
    ",",
    ";",
    "rua=",
    "mailto:",
    "https://",
    "%",
    "%0d%0a",
    "@",
    "[::1]",
    "\0",
    "é",
    " ",
    "//",
    "?",
    "#",
  ];
  const seen = new Set<string>();
  for (let round = 0; round < 5_000; round++) {
    const text = [...whole];
    for (let change = next(6); change > 0; change--)
      text.splice(next(text.length), next(4), pieces[next(pieces.length)] ?? "");
    const found = parseReportRecord([text.join("")]);
    seen.add(found.map(({ kind }) => kind).join(" "));
    for (const one of found)
      if (one.kind === "mailto") expect(one.address).toMatch(/^[^\s@,<>"\\]+@[^\s@,<>"\\]+$/);
      else expect(one.url.protocol).toBe("https:");
  }
  expect(seen).toContain("mailto https");
  expect(seen).toContain("");
});

test("at most four destinations are kept", () => {
  expect(shown([`v=TLSRPTv1; rua=${Array(9).fill("mailto:a@example.org").join(",")}`])).toHaveLength(4);
});

test("the report says what RFC 8460 §4.4 wants", () => {
  expect(reportJson(tally, reporter)).toEqual({
    "organization-name": "sender.example",
    "date-range": { "start-datetime": "2026-11-20T00:00:00Z", "end-datetime": "2026-11-20T23:59:59Z" },
    "contact-info": "tls@sender.example",
    "report-id": "2026-11-20_example.org@sender.example",
    policies: [
      {
        policy: {
          "policy-type": "sts",
          "policy-string": ["version: STSv1", "mode: enforce", "mx: mx.example.org", "max_age: 86400"],
          "policy-domain": "example.org",
          "mx-host": ["mx.example.org"],
        },
        summary: { "total-successful-session-count": 12, "total-failure-session-count": 3 },
        "failure-details": [
          {
            "result-type": "certificate-expired",
            "sending-mta-ip": "192.0.2.9",
            "receiving-mx-hostname": "mx.example.org",
            "receiving-ip": "192.0.2.1",
            "failed-session-count": 3,
            "failure-reason-code": "its certificate ended on 1 May",
          },
        ],
      },
    ],
  });
  expect(reportFileName(tally, reporter)).toBe("sender.example!example.org!1795132800!1795219199.json.gz");
});

test("who reads reports here understands it", () => {
  const read = parseTlsJson(Buffer.from(JSON.stringify(reportJson(tally, reporter))));
  expect(read).toMatchObject({
    kind: "tls-report",
    reports: [
      {
        domain: "example.org",
        reporter: "sender.example",
        policies: [
          { type: "sts", succeeded: 12, failed: 3, failures: [{ result: "certificate-expired", count: 3 }] },
        ],
      },
    ],
  });
});

test("as mail it is a multipart/report with the file, and waives TLS", async () => {
  const packed = gzipSync(JSON.stringify(reportJson(tally, reporter)));
  const bytes = reportMail(tally, reporter, "tls@example.org", packed, { messageId: "id", atMs: 0 });
  const text = bytes.toString("latin1");
  expect(text.split("\r\n").every((line) => line.length <= 998 && !/[\r\n]/.test(line))).toBe(true);
  const parsed = await PostalMime.parse(bytes);
  const header = (key: string) => parsed.headers.find((one) => one.key === key)?.value;
  expect(parsed.subject).toBe(
    "Report Domain: example.org Submitter: sender.example Report-ID: <2026-11-20_example.org@sender.example>",
  );
  expect(header("tls-report-domain")).toBe("example.org");
  expect(header("tls-report-submitter")).toBe("sender.example");
  expect(header("tls-required")).toBe("No");
  expect(header("content-type")).toContain('report-type="tlsrpt"');
  const [file] = parsed.attachments;
  expect(file).toMatchObject({
    filename: reportFileName(tally, reporter),
    mimeType: "application/tlsrpt+gzip",
  });
  expect(Buffer.from(file?.content as ArrayBuffer).equals(packed)).toBe(true);
});

test("the same failure counts up, another one stands beside it, and all bounds hold", () => {
  const counted: TlsTally = { day: dayOf(Date.UTC(2026, 10, 20)), domain: "example.org", policies: [] };
  const count = (ip: string, lines: string[] = [], why = "x") =>
    addOutcome(counted, {
      type: "tlsa",
      lines,
      mx: [],
      host: "mx",
      ip,
      problem: { result: "validation-failure", why },
    });
  count("192.0.2.1");
  count("192.0.2.1");
  count("192.0.2.2");
  addOutcome(counted, { type: "tlsa", lines: [], mx: [] });
  expect(counted.policies).toMatchObject([
    { succeeded: 1, failed: 3, failures: [{ count: 2 }, { count: 1 }] },
  ]);
  for (let index = 0; index < 500; index++)
    count(`192.0.2.${index % 250}`, [`policy ${index % 40}`], "y".repeat(999));
  expect(counted.policies).toHaveLength(8);
  expect(counted.policies.reduce((sum, { failed }) => sum + failed, 0)).toBe(503);
  expect(counted.policies.every(({ failures }) => failures.length <= 50)).toBe(true);
  expect(JSON.stringify(counted).length).toBeLessThan(200_000);
});

test("the counts of several processes are one report", () => {
  const merged = mergeTallies(tally.day, tally.domain, [tally, tally, { ...tally, policies: [] }]);
  expect(merged.policies).toMatchObject([{ succeeded: 24, failed: 6, failures: [{ count: 6 }] }]);
  expect(tally.policies[0]?.succeeded).toBe(12);
});
