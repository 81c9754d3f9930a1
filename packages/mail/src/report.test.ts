import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { Reason, reasons } from "@tyto/contracts";
import { rounds } from "../../../test/parts/rounds.ts";
import { autoReplySign } from "./auto-reply.ts";
import { readMessage } from "./message.ts";
import { mutate, random, timed } from "./report.testing.ts";
import { type Report, readReport } from "./report.ts";

const folder = new URL("../fixtures/reports/", import.meta.url);
const names = readdirSync(folder)
  .filter((file) => file.endsWith(".eml"))
  .map((file) => file.slice(0, -".eml".length));
const bytesOf = (name: string) => new Uint8Array(readFileSync(new URL(`${name}.eml`, folder)));
const encode = (text: string) => new TextEncoder().encode(text);
const reportOf = (bytes: Uint8Array): Report | undefined => {
  const message = readMessage(bytes);
  return message && readReport(message);
};

describe("reports are read as their .json says (UPDATE=1 writes it anew)", () => {
  test.each(names)("%s", async (name) => {
    const report = reportOf(bytesOf(name));
    const file = new URL(`${name}.json`, folder);
    if (process.env.UPDATE === "1") writeFileSync(file, `${JSON.stringify(report, undefined, 2)}\n`);
    expect(report as unknown).toEqual(JSON.parse(readFileSync(file, "utf8")));
  });
});

/** Reasons and formats of all cases: how often each reason is told in each. */
function coverage(): Map<string, Map<string, number>> {
  const table = new Map<string, Map<string, number>>();
  for (const name of names) {
    const { format, recipients }: Report = JSON.parse(readFileSync(new URL(`${name}.json`, folder), "utf8"));
    for (const { action, classification } of recipients) {
      const row = table.get(classification?.reason ?? action) ?? new Map<string, number>();
      row.set(format, (row.get(format) ?? 0) + 1);
      table.set(classification?.reason ?? action, row);
    }
  }
  return table;
}

test("every reason that a report can give has at least three cases, and there are three hundred (COVERAGE=1 prints the table)", () => {
  const table = coverage();
  const sum = (reason: string) => [...(table.get(reason)?.values() ?? [])].reduce((a, b) => a + b, 0);
  if (process.env.COVERAGE === "1")
    for (const [reason, formats] of [...table].toSorted(([a], [b]) => a.localeCompare(b)))
      process.stdout.write(
        `${reason.padEnd(24)} ${String(sum(reason)).padStart(4)}  ${[...formats].map(([format, count]) => `${format} ${count}`).join(", ")}\n`,
      );
  const told = Reason.options.filter((reason) => !["local.trouble", "sender.unsigned"].includes(reason));
  expect(told.filter((reason) => sum(reason) < 3)).toEqual([]);
  expect(names.length).toBeGreaterThan(300);
});

test.each(Reason.options.map((reason) => [reason, reasons[reason]] as const))(
  "%s suppresses an address only if the recipient is gone",
  (reason, { fault, hard }) => {
    const isGone = ["mailbox.unknown", "mailbox.moved", "domain.unknown", "domain.takes-no-mail"].includes(
      reason,
    );
    expect(hard && fault === "recipient").toBe(isGone);
    for (const name of names) {
      const { recipients }: Report = JSON.parse(readFileSync(new URL(`${name}.json`, folder), "utf8"));
      for (const { action, classification } of recipients)
        if (classification?.reason === reason && classification.hard)
          expect([isGone, action]).toEqual([true, "failed"]);
    }
  },
);

test("a report is the same with bare line feeds", async () => {
  for (const name of names.filter((_, index) => index % rounds(5, 1) === 0)) {
    const text = readFileSync(new URL(`${name}.eml`, folder), "latin1");
    const [unix, dos] = [text.replaceAll("\r\n", "\n"), text.replaceAll(/\r?\n/g, "\r\n")];
    expect(reportOf(new Uint8Array(Buffer.from(unix, "latin1")))).toEqual(
      reportOf(new Uint8Array(Buffer.from(dos, "latin1"))),
    );
  }
}, 180_000);

test("ordinary mail, even mail that talks about bounces, is no report", async () => {
  const mail =
    "From: a@example.com\r\nSubject: 550 5.1.1 user unknown\r\n\r\nStatus: 5.1.1\r\nAction: failed\r\n";
  expect(reportOf(encode(mail))).toBeUndefined();
  expect(reportOf(new Uint8Array())).toBeUndefined();
});

test("the words of a report from a person are read only where a report is expected", () => {
  const text =
    "From: Ann <ann@example.org>\r\nSubject: hm\r\n\r\n<bob@example.com>: 550 5.1.1 user unknown\r\n";
  const message = readMessage(encode(text));
  if (message === undefined) throw new Error("not read");
  expect(readReport(message)).toBeUndefined();
  expect(readReport(message, true)?.recipients).toMatchObject([
    {
      address: "bob@example.com",
      action: "failed",
      classification: { reason: "mailbox.unknown", hard: true },
    },
  ]);
});

test("a report quoted inside another message is not this message's report", async () => {
  const inner = new TextDecoder().decode(bytesOf("delivered"));
  const mail = `From: a@example.com\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Type: text/plain\r\n\r\nlook\r\n--x\r\nContent-Type: message/rfc822\r\n\r\n${inner}\r\n--x--\r\n`;
  expect(reportOf(encode(mail))).toBeUndefined();
});

test("a thousand recipients are cut to a hundred", async () => {
  const block = (_: unknown, index: number) =>
    `Final-Recipient: rfc822; ann${index}@example.com\r\nAction: failed\r\nStatus: 5.1.1\r\n\r\n`;
  const blocks = Array.from({ length: 1_000 }, block).join("");
  const mail = `Content-Type: multipart/report; boundary=x\r\n\r\n--x\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx\r\n\r\n${blocks}--x--\r\n`;
  expect(reportOf(encode(mail))?.recipients.length).toBe(100);
});

test.each([
  ["Auto-Submitted: auto-replied\r\nSubject: Hi", true],
  ["Auto-Submitted: no\r\nSubject: Hi", false],
  ["X-Autoreply: yes\r\nSubject: Hi", true],
  ["Precedence: auto_reply\r\nSubject: Hi", true],
  ["Precedence: bulk\r\nSubject: News", false],
  ["Subject: Out of Office: back on Monday", true],
  ["Subject: =?utf-8?Q?R=C3=A9ponse_automatique?= : absence", true],
  ["Subject: Automatische Antwort: Rechnung", true],
  ["Subject: Re: your out of office rules", false],
  ["Auto-Submitted: auto-replied\r\nX-Failed-Recipients: ann@example.com\r\nSubject: Mail failure", false],
  ["Auto-Submitted: auto-generated\r\nContent-Type: multipart/report; boundary=x", false],
  ["Auto-Submitted: auto-replied\r\nFrom: Mail Delivery System <mailer-daemon@example.com>", false],
])("%p: auto-reply %p", async (head, expected) => {
  const from = /^From:/m.test(head) ? "" : "From: a@example.com\r\n";
  const message = await readMessage(encode(`${from}${head}\r\n\r\nbody\r\n`));
  expect(message && autoReplySign(message) !== undefined).toBe(expected);
});

test("nesting and header floods are given up on, not followed", async () => {
  const nested = Array.from(
    { length: 200 },
    (_, i) => `Content-Type: multipart/mixed; boundary=b${i}\r\n\r\n--b${i}\r\n`,
  ).join("");
  expect(await readMessage(encode(nested))).toBeUndefined();
  expect(await readMessage(encode(`${"X-Header: value\r\n".repeat(40_000)}\r\nbody`))).toBeUndefined();
});

test.each([
  ["empty lines", "\n".repeat(500_000)],
  ["parts", `Content-Type: multipart/mixed; boundary=x\r\n\r\n${"--x\r\n\r\n".repeat(60_000)}`],
  ["encoded words", `Subject: ${"=?utf-8?Q?a?= ".repeat(8_000)}\r\n\r\n`],
  ["addresses", `From: ${'a <b@c>, "('.repeat(9_000)}\r\n\r\n`],
  ["broken HTML", `Content-Type: text/html\r\n\r\n${"<a <b &".repeat(70_000)}`],
  // These two took seconds until the headings of Sendmail and Biglobe asked for no more dashes than three.
  ["dashes", `From: mailer-daemon@example.com\r\n\r\n${"-".repeat(400_000)}`],
  [
    "dashed lines",
    `From: mailer-daemon@example.com\r\n\r\n${`${"-".repeat(39)}${"x".repeat(59)}\n`.repeat(4_000)}`,
  ],
  ["angle brackets", `From: mailer-daemon@example.com\r\n\r\n${"<".repeat(400_000)}`],
  [
    "one long field",
    `Content-Type: message/delivery-status\r\n\r\nDiagnostic-Code: ${"550-5.1.1 x ".repeat(40_000)}`,
  ],
])("a message of nothing but %s takes no more than half a second", async (_, text) => {
  const { result, tookMs } = await timed(500, async () => reportOf(encode(text)));
  expect(result).toBeUndefined();
  expect(tookMs).toBeLessThanOrEqual(500);
});

test("damaged reports: none throws, none is slow, none claims more than it may", async () => {
  const next = random(20_261_121);
  const originals = names.map(bytesOf);
  const tooSlow: number[] = [];
  for (let i = 0; i < rounds(200, 2_000); i++) {
    const bytes = mutate(originals[i % originals.length] ?? new Uint8Array(), next);
    const { result: report, tookMs } = await timed(100, async () => reportOf(bytes));
    if (tookMs > 100) tooSlow.push(tookMs);
    for (const recipient of report?.recipients ?? []) {
      expect(recipient.diagnostic?.length ?? 0).toBeLessThanOrEqual(1_000);
      if (recipient.classification?.hard) expect(recipient.action).toBe("failed");
    }
  }
  expect(tooSlow).toEqual([]);
}, 180_000);
