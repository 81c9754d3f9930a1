import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { isAutoReply } from "./auto-reply.ts";
import { readMessage } from "./message.ts";
import { parseReport } from "./report.ts";

/** Processor time of this process: unlike the clock on the wall, other work on the machine does not move it. */
const processorMs = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
};

const folder = new URL("../fixtures/reports/", import.meta.url);
const names = readdirSync(folder)
  .filter((file) => file.endsWith(".eml"))
  .map((file) => file.slice(0, -".eml".length));
const bytesOf = (name: string) => new Uint8Array(readFileSync(new URL(`${name}.eml`, folder)));
const encode = (text: string) => new TextEncoder().encode(text);

describe("reports are read as their .json says (UPDATE=1 writes it anew)", () => {
  test.each(names)("%s", async (name) => {
    const report = await parseReport(bytesOf(name));
    const file = new URL(`${name}.json`, folder);
    if (process.env.UPDATE === "1") writeFileSync(file, `${JSON.stringify(report, undefined, 2)}\n`);
    expect(report as unknown).toEqual(JSON.parse(readFileSync(file, "utf8")));
  });
});

test("a report is the same with bare line feeds", async () => {
  for (const name of names) {
    const text = readFileSync(new URL(`${name}.eml`, folder), "latin1");
    const [unix, dos] = [text.replaceAll("\r\n", "\n"), text.replaceAll(/\r?\n/g, "\r\n")];
    expect(await parseReport(new Uint8Array(Buffer.from(unix, "latin1")))).toEqual(
      await parseReport(new Uint8Array(Buffer.from(dos, "latin1"))),
    );
  }
});

test("ordinary mail, even mail that talks about bounces, is no report", async () => {
  const mail =
    "From: a@example.com\r\nSubject: 550 5.1.1 user unknown\r\n\r\nStatus: 5.1.1\r\nAction: failed\r\n";
  expect(await parseReport(encode(mail))).toBeUndefined();
  expect(await parseReport(new Uint8Array())).toBeUndefined();
});

test("a report quoted inside another message is not this message's report", async () => {
  const inner = new TextDecoder().decode(bytesOf("delivered"));
  const mail = `From: a@example.com\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Type: text/plain\r\n\r\nlook\r\n--x\r\nContent-Type: message/rfc822\r\n\r\n${inner}\r\n--x--\r\n`;
  expect(await parseReport(encode(mail))).toBeUndefined();
});

test("a thousand recipients are cut to a hundred", async () => {
  const block = "Final-Recipient: rfc822; ann@example.com\r\nAction: failed\r\nStatus: 5.1.1\r\n\r\n";
  const mail = `Content-Type: multipart/report; boundary=x\r\n\r\n--x\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx\r\n\r\n${block.repeat(1_000)}--x--\r\n`;
  expect((await parseReport(encode(mail)))?.recipients.length).toBe(100);
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
  expect(message && isAutoReply(message)).toBe(expected);
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
  [
    "one long field",
    `Content-Type: message/delivery-status\r\n\r\nDiagnostic-Code: ${"550-5.1.1 x ".repeat(40_000)}`,
  ],
])("a message of nothing but %s takes no more than half a second", async (_, text) => {
  const started = processorMs();
  expect(await parseReport(encode(text))).toBeUndefined();
  expect(processorMs() - started).toBeLessThan(500);
});

/** Small and seeded, so that a failure comes back: mulberry32. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

function mutate(bytes: Uint8Array, next: () => number): Uint8Array {
  let result: Uint8Array = bytes.slice();
  const edits = 1 + Math.floor(next() * 8);
  for (let i = 0; i < edits; i++) {
    const at = Math.floor(next() * result.length);
    const length = Math.floor(next() * 60);
    const kind = Math.floor(next() * 5);
    if (kind === 0) result[at] = Math.floor(next() * 256);
    else if (kind === 1) result = Buffer.concat([result.subarray(0, at), result.subarray(at + length)]);
    else if (kind === 2) {
      const piece = result.slice(at, at + length);
      result = Buffer.concat([result.subarray(0, at), piece, piece, piece, result.subarray(at)]);
    } else if (kind === 3) {
      const odd = ["\r", "\n", "\r\n\r\n", "\0", ";", "=?utf-8?B?", "--", ": ", "\\x{110000}", "550-5.1.1 "];
      result = Buffer.concat([
        result.subarray(0, at),
        encode(odd[Math.floor(next() * odd.length)] ?? ""),
        result.subarray(at),
      ]);
    } else result = result.slice(0, at);
  }
  return result;
}

test("six hundred damaged reports: none throws, none is slow, none claims more than it may", async () => {
  const next = random(20_261_121);
  const originals = names.map(bytesOf);
  let slowestMs = 0;
  for (let i = 0; i < 600; i++) {
    const bytes = mutate(originals[i % originals.length] ?? new Uint8Array(), next);
    const started = processorMs();
    const report = await parseReport(bytes);
    slowestMs = Math.max(slowestMs, processorMs() - started);
    for (const recipient of report?.recipients ?? []) {
      expect(recipient.diagnostic?.length ?? 0).toBeLessThanOrEqual(1_000);
      if (recipient.classification?.hard) expect(recipient.action).toBe("failed");
    }
  }
  expect(slowestMs).toBeLessThan(100);
});
