/**
 * DMARC aggregate reports (RFC 9990, formerly RFC 7489 Appendix C): XML, bare or packed, read as a stream. No document type,
 * so no entities of its own; bounded in bytes, marks, rows, depth and the length of each value.
 */
import { phrase } from "@tyto/contracts";
import { SaxesParser } from "saxes";
import { unpack } from "./archive.ts";
import { hasMoreMarks } from "./marks.ts";
import type { Message, Part } from "./message.ts";

export type DmarcRow = {
  sourceIp: string;
  count: number;
  disposition: string;
  dkimAligned: boolean;
  spfAligned: boolean;
  headerFrom: string;
  dkim: { domain: string; selector?: string; result: string }[];
  spf: { domain: string; result: string }[];
};

/** One part of a report: `part` counts from 0, each with at most `rowsPerPart` rows. */
export type DmarcReport = {
  domain: string;
  reporter: string;
  reportId: string;
  part: number;
  /** Milliseconds since 1970. */
  beginAt: number;
  endAt: number;
  policy: { p: string; sp?: string; adkim?: string; aspf?: string };
  rows: DmarcRow[];
};

export type DmarcClaim = { kind: "dmarc-report"; reports: DmarcReport[] } | { kind: "unclear"; why: string };

const rowsPerPart = 500;
const rowsMax = 20_000;
const depthMax = 20;
/** Tags, entities and attributes; a row of a real report has some 40. */
const marksMax = 1_000_000;
const valueCharsMax = 1_000;
const authResultsMax = 10;

/** `receiver!domain!begin!end[!id].xml[.gz]` (RFC 9990 §3.5.2.1), `.zip` in older ones. */
const fileName = /^[^!]{1,253}![^!]{1,253}!\d{9,11}!\d{9,11}(?:![^!]{0,100})?\.(?:xml(?:\.gz)?|zip|gz)$/i;
const subjectLine = /\breport[- ]domain\s*:|\bdmarc\b.{0,40}\breport\b|\breport\b.{0,40}\bdmarc\b/i;
const packedTypes =
  /^application\/(?:x-)?(?:gzip|gunzip|gzip-compressed|zip|zip-compressed)$|^application\/octet-stream$/;
const xmlTypes = /^(?:text|application)\/xml$/;

/**
 * Reads a report; `undefined` when the message is none. What names itself one by its file name or its subject, and cannot be
 * read, is `unclear` with the reason.
 */
export function readDmarcReport(message: Message): DmarcClaim | undefined {
  const isNamed = subjectLine.test(message.subject ?? "");
  const part = message.parts.find((one) => isReportFile(one, isNamed));
  if (part === undefined)
    // Some senders put the XML into the text.
    return message.text.trimStart().startsWith("<") && /<feedback[\s>]/.test(message.text.slice(0, 2_000))
      ? read(message.text)
      : undefined;
  const unpacked = unpack(part.bytes);
  if ("problem" in unpacked)
    return { kind: "unclear", why: phrase("inbound.dmarc-file", { problem: unpacked.problem }) };
  const text = xmlText(unpacked.bytes);
  const isFeedback = /<(?:\w+:)?feedback[\s>]/.test(text.slice(0, 4_000));
  if (!isFeedback && !fileName.test(part.name ?? "")) return undefined;
  return read(text);
}

function isReportFile({ type, name = "" }: Part, isNamed: boolean): boolean {
  if (fileName.test(name)) return true;
  const isPossible = xmlTypes.test(type) || packedTypes.test(type) || /\.xml$/i.test(name);
  return isPossible && (isNamed || /\.xml(?:\.gz|\.zip)?$/i.test(name));
}

const xmlText = (bytes: Uint8Array) => {
  const isWide = (bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0x3c && bytes[1] === 0);
  return new TextDecoder(isWide ? "utf-16le" : "utf-8").decode(bytes);
};

/** An oddity of the document, in words; it ends the reading. */
class Oddity extends Error {}

type Draft = Partial<Record<string, string>>;

function read(xml: string): DmarcClaim {
  try {
    return { kind: "dmarc-report", reports: parse(xml) };
  } catch (error) {
    const why = error instanceof Error ? error.message.replace(/\s+/g, " ").slice(0, 160) : String(error);
    return { kind: "unclear", why: phrase("inbound.dmarc-unread", { why }) };
  }
}

function parse(xml: string): DmarcReport[] {
  if (hasMoreMarks(xml, "<&=", marksMax)) throw new Oddity(`it has more than ${marksMax} marks of XML`);
  const parser = new SaxesParser({ fragment: false, position: true });
  const path: string[] = [];
  const metadata: Draft = {};
  const policy: Draft = {};
  let row: Draft = {};
  let dkim: Draft[] = [];
  let spf: Draft[] = [];
  let result: Draft = {};
  let value = "";
  const rows: DmarcRow[] = [];

  parser.on("doctype", () => {
    throw new Oddity("it has a document type");
  });
  parser.on("error", (error) => {
    throw error;
  });
  parser.on("opentag", ({ name }) => {
    if (path.length >= depthMax) throw new Oddity("its elements are nested too deep");
    path.push(localName(name));
    value = "";
    const place = path.slice(1).join("/");
    if (path.length === 1 && path[0] !== "feedback") throw new Oddity(`its root is ${name.slice(0, 60)}`);
    if (place === "record") [row, dkim, spf] = [{}, [], []];
    if (place === "record/auth_results/dkim" || place === "record/auth_results/spf") result = {};
  });
  const onText = (text: string) => {
    if (value.length < valueCharsMax) value += text.slice(0, valueCharsMax);
  };
  parser.on("text", onText);
  parser.on("cdata", onText);
  parser.on("closetag", () => {
    const place = path.slice(1).join("/");
    const text = value.trim();
    value = "";
    path.pop();
    const [area, ...rest] = place.split("/");
    const name = rest.join("/");
    if (area === "report_metadata") metadata[name] ??= text;
    else if (area === "policy_published") policy[name] ??= text;
    else if (area !== "record") return;
    else if (name === "") {
      if (rows.length >= rowsMax) throw new Oddity(`it has more than ${rowsMax} rows`);
      rows.push(rowOf(row, dkim, spf));
    } else if (name === "auth_results/dkim" && dkim.length < authResultsMax) dkim.push(result);
    else if (name === "auth_results/spf" && spf.length < authResultsMax) spf.push(result);
    else if (name.startsWith("auth_results/")) result[name.slice(name.lastIndexOf("/") + 1)] ??= text;
    else row[name] ??= text;
  });
  parser.write(xml).close();
  return partsOf(metadata, policy, rows);
}

/** Namespaces came with RFC 9990 and mean nothing here. */
const localName = (name: string) => name.slice(name.indexOf(":") + 1).toLowerCase();

function rowOf(row: Draft, dkim: readonly Draft[], spf: readonly Draft[]): DmarcRow {
  const count = Number(row["row/count"]);
  if (!Number.isSafeInteger(count) || count < 0 || count > 1e10) throw new Oddity("a row has no count");
  const ip = row["row/source_ip"] ?? "";
  if (!/^[0-9a-f:.]{2,45}$/i.test(ip)) throw new Oddity("a row has no address");
  return {
    sourceIp: ip.toLowerCase(),
    count,
    disposition: word(row["row/policy_evaluated/disposition"]) || "none",
    dkimAligned: word(row["row/policy_evaluated/dkim"]) === "pass",
    spfAligned: word(row["row/policy_evaluated/spf"]) === "pass",
    headerFrom: domainIn(row["identifiers/header_from"]),
    dkim: dkim.map(({ domain, selector, result }) => ({
      domain: domainIn(domain),
      ...(selector === undefined || selector === "" ? {} : { selector: selector.slice(0, 100) }),
      result: word(result) || "none",
    })),
    spf: spf.map(({ domain, result }) => ({ domain: domainIn(domain), result: word(result) || "none" })),
  };
}

function partsOf(metadata: Draft, published: Draft, rows: DmarcRow[]): DmarcReport[] {
  const domain = domainIn(published.domain);
  if (domain === "") throw new Oddity("it names no domain");
  const reportId = (metadata.report_id ?? "").slice(0, 250);
  if (reportId === "") throw new Oddity("it has no id");
  const [beginAt, endAt] = [timeIn(metadata["date_range/begin"]), timeIn(metadata["date_range/end"])];
  if (beginAt === undefined || endAt === undefined || endAt < beginAt)
    throw new Oddity("its time range is wrong");
  const [sp, adkim, aspf] = [published.sp, published.adkim, published.aspf].map(word);
  const report = {
    domain,
    reporter: reporterOf(metadata),
    reportId,
    beginAt,
    endAt,
    policy: {
      p: word(published.p) || "none",
      ...(sp ? { sp } : {}),
      ...(adkim ? { adkim: adkim.slice(0, 10) } : {}),
      ...(aspf ? { aspf: aspf.slice(0, 10) } : {}),
    },
  };
  const parts: DmarcReport[] = [];
  for (let start = 0; start < rows.length || start === 0; start += rowsPerPart)
    parts.push({ ...report, part: parts.length, rows: rows.slice(start, start + rowsPerPart) });
  return parts;
}

/** A word of the report's vocabulary, in lower case; longer ones are nobody's. */
const word = (text: string | undefined) => (text ?? "").toLowerCase().slice(0, 20);

const domainIn = (text: string | undefined) => {
  const name = (text ?? "").trim().toLowerCase().replace(/\.$/, "");
  return name.length <= 253 && /^[\p{L}\p{N}._-]*$/u.test(name) ? name : "";
};

/** The reporter's domain: by its address, since its name is anything. */
function reporterOf({ email = "", org_name: name = "" }: Draft): string {
  const domain = domainIn(/@([^@\s>]+)>?\s*$/.exec(email)?.[1]);
  return domain || domainIn(name) || name.replace(/\p{Cc}/gu, " ").slice(0, 253) || "unknown";
}

const earliestS = Date.UTC(2010, 0) / 1_000;
const latestS = Date.UTC(2200, 0) / 1_000;

function timeIn(text: string | undefined): number | undefined {
  const seconds = Math.floor(Number(text || Number.NaN));
  return seconds >= earliestS && seconds <= latestS ? seconds * 1_000 : undefined;
}
