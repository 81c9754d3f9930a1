/** TLS reports (RFC 8460): JSON, bare or in gzip, bounded. */
import { phrase } from "@tyto/contracts";
import { unpack } from "./archive.ts";
import { hasMoreMarks } from "./marks.ts";
import { header, type Message } from "./message.ts";

export type TlsPolicy = {
  type: "sts" | "tlsa" | "no-policy-found";
  mxHosts: string[];
  succeeded: number;
  failed: number;
  failures: {
    result: string;
    count: number;
    sendingIp?: string;
    receivingMx?: string;
    detail?: string;
  }[];
};

/** What a report says about one domain. */
export type TlsReport = {
  domain: string;
  reporter: string;
  reportId: string;
  /** Milliseconds since 1970. */
  beginAt: number;
  endAt: number;
  policies: TlsPolicy[];
};

export type TlsClaim = { kind: "tls-report"; reports: TlsReport[] } | { kind: "unclear"; why: string };

const jsonBytesMax = 5 * 1_048_576;
/** Lists and objects. */
const marksMax = 200_000;
/** Of one domain. */
export const policiesMax = 20;
const max = { domains: 50, policies: policiesMax, mxHosts: 20, failures: 100 };
const types = /^application\/tlsrpt\+(?:json|gzip)$/;
const fileName = /^[^!]{1,253}![^!]{1,253}!\d{9,11}!\d{9,11}(?:![^!]{0,100})?\.json(?:\.gz)?$/i;
const possibleTypes = /^application\/(?:json|(?:x-)?gzip|octet-stream)$/;

/** Reads a report; `undefined` when the message is none. What names itself one and cannot be read is `unclear` with the reason. */
export function readTlsReport(message: Message): TlsClaim | undefined {
  const claims =
    /report-type\s*=\s*"?tlsrpt/i.test(header(message, "content-type") ?? "") ||
    header(message, "tls-report-domain") !== undefined;
  const part = message.parts.find(
    ({ type, name = "" }) => types.test(type) || fileName.test(name) || (claims && possibleTypes.test(type)),
  );
  if (part === undefined)
    return claims ? { kind: "unclear", why: phrase("inbound.tls-empty", {}) } : undefined;
  const unpacked = unpack(part.bytes);
  if ("problem" in unpacked)
    return { kind: "unclear", why: phrase("inbound.tls-file", { problem: unpacked.problem }) };
  return parseTlsJson(unpacked.bytes);
}

const unclear = (why: string): TlsClaim => ({
  kind: "unclear",
  why: phrase("inbound.tls-unread", { why }),
});

/** Reads the JSON of RFC 8460 §4.4. */
export function parseTlsJson(bytes: Uint8Array): TlsClaim {
  if (bytes.length > jsonBytesMax) return unclear(`it has more than ${jsonBytesMax} bytes`);
  let report: Fields;
  try {
    const json = new TextDecoder().decode(bytes);
    if (hasMoreMarks(json, "[{", marksMax)) return unclear(`it has more than ${marksMax} marks of JSON`);
    report = fields(JSON.parse(json));
  } catch (error) {
    // Broken JSON, or JSON nested deeper than the parser goes.
    return unclear(error instanceof SyntaxError ? "it is no JSON" : "it is nested too deep");
  }
  const reportId = text(report["report-id"], 250);
  const range = fields(report["date-range"]);
  const [beginAt, endAt] = [timeIn(range["start-datetime"]), timeIn(range["end-datetime"])];
  if (reportId === "") return unclear("it has no id");
  if (beginAt === undefined || endAt === undefined || endAt < beginAt)
    return unclear("its time range is wrong");
  const contact = text(report["contact-info"], 300);
  const reporter =
    domainIn(/@([^@\s>]+)>?$/.exec(contact)?.[1]) ||
    domainIn(text(report["organization-name"], 253)) ||
    text(report["organization-name"], 253) ||
    "unknown";
  const byDomain = new Map<string, TlsPolicy[]>();
  for (const entry of list(report.policies).slice(0, max.domains * max.policies)) {
    const [domain, policy] = policyOf(fields(entry));
    if (domain === "") return unclear("a policy names no domain");
    if (policy === undefined) return unclear("its counts are no counts");
    const policies = byDomain.get(domain) ?? [];
    if (policies.length < max.policies) policies.push(policy);
    if (byDomain.size < max.domains) byDomain.set(domain, policies);
  }
  if (byDomain.size === 0) return unclear("it has no policies");
  return {
    kind: "tls-report",
    reports: [...byDomain].map(([domain, policies]) => ({
      domain,
      reporter,
      reportId,
      beginAt,
      endAt,
      policies,
    })),
  };
}

type Fields = Record<string, unknown>;
const fields = (value: unknown): Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Fields) : {};
const list = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);
const text = (value: unknown, chars: number) =>
  typeof value === "string"
    ? value
        .replace(/\p{Cc}+/gu, " ")
        .trim()
        .slice(0, chars)
    : "";
const count = (value: unknown) => {
  const number = value === undefined ? 0 : Number(value);
  return Number.isSafeInteger(number) && number >= 0 ? number : undefined;
};
const domainIn = (value: unknown) => {
  const name = text(value, 300).toLowerCase().replace(/\.$/, "");
  return name.length <= 253 && /^[\p{L}\p{N}_-]+(?:\.[\p{L}\p{N}_-]+)+$/u.test(name) ? name : "";
};

function policyOf(entry: Fields): [domain: string, policy: TlsPolicy | undefined] {
  const policy = fields(entry.policy);
  const summary = fields(entry.summary);
  const type = text(policy["policy-type"], 30).toLowerCase();
  const [succeeded, failed] = [
    count(summary["total-successful-session-count"]),
    count(summary["total-failure-session-count"]),
  ];
  const failures = list(entry["failure-details"]).slice(0, max.failures).map(failureOf);
  const known = failures.filter((failure) => failure !== undefined);
  const isCounted = succeeded !== undefined && failed !== undefined && known.length === failures.length;
  const mx = policy["mx-host"];
  return [
    domainIn(policy["policy-domain"]),
    isCounted
      ? {
          type: type === "sts" || type === "tlsa" ? type : "no-policy-found",
          mxHosts: (Array.isArray(mx) ? mx : [mx])
            .map((host) => text(host, 253))
            .filter((host) => host !== "")
            .slice(0, max.mxHosts),
          succeeded,
          failed,
          failures: known,
        }
      : undefined,
  ];
}

function failureOf(entry: unknown): TlsPolicy["failures"][number] | undefined {
  const detail = fields(entry);
  const failed = count(detail["failed-session-count"]);
  if (failed === undefined) return undefined;
  const optional = {
    sendingIp: text(detail["sending-mta-ip"], 45),
    receivingMx: text(detail["receiving-mx-hostname"], 253),
    detail: text(detail["failure-reason-code"] ?? detail["additional-information"], 300),
  };
  return {
    result: text(detail["result-type"], 60) || "unknown",
    count: failed,
    ...(Object.fromEntries(Object.entries(optional).filter(([, value]) => value !== "")) as Partial<
      typeof optional
    >),
  };
}

const earliestMs = Date.UTC(2010, 0);
const latestMs = Date.UTC(2200, 0);

function timeIn(value: unknown): number | undefined {
  const at = Date.parse(text(value, 40));
  return at >= earliestMs && at <= latestMs ? at : undefined;
}
