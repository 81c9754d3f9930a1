import { expect, test } from "bun:test";
import { gzipSync } from "node:zlib";
import { readDmarcReport } from "./index.ts";
import { hasMoreMarks } from "./marks.ts";
import { parseTlsJson } from "./tls-report.ts";

test("marks of all kinds count together, up to the bound and no further", () => {
  expect(hasMoreMarks("<a b='c'/>&amp;", "<&=", 3)).toBe(false);
  expect(hasMoreMarks("<a b='c'/>&amp;", "<&=", 2)).toBe(true);
  expect(hasMoreMarks("", "<", 0)).toBe(false);
});

/** A DMARC report that holds this many of something, packed so that it is no bomb by its ratio alone. */
const report = (unit: string, count: number) => {
  const noise = Buffer.from(crypto.getRandomValues(new Uint8Array(60_000))).toString("hex");
  const xml = `<feedback><!--${noise}-->${unit.repeat(count)}`;
  const name = "sender.test!acme.example!1767571200!1767657599.xml.gz";
  return { headers: [], text: "", parts: [{ type: "application/gzip", name, bytes: gzipSync(xml) }] };
};

test.each(["<a/>", "&amp;", "&#65;", "<!---->", "<a b=''/>"])(
  "a report of a million %s is not read, which would stop everybody else's mail for seconds",
  (unit) => {
    const claim = readDmarcReport(report(unit, 1_000_001));
    expect(claim).toMatchObject({ kind: "unclear", why: expect.stringContaining("marks") });
  },
);

test.each(["[", "{", '{"a":', "[],"])("neither is a TLS report of hundreds of thousands of %s", (unit) => {
  const claim = parseTlsJson(Buffer.from(`[${unit.repeat(200_001)}`));
  expect(claim).toMatchObject({ kind: "unclear", why: expect.stringContaining("marks") });
});
