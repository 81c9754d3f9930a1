import type { TlsTally } from "@tyto/contracts";

/** Who reports. */
export type Reporter = {
  /** Our name among reporters: the domain of `contact`. */
  domain: string;
  /** Whom a receiver may ask about a report. */
  contact: string;
};

/** Where a domain wants its reports (RFC 8460 §3), in its order. */
export type Destination = { kind: "https"; url: URL } | { kind: "mailto"; address: string };

const destinationsMax = 4;
const dayMs = 86_400_000;

/** The destinations of the TXT records at `_smtp._tls`; none unless exactly one record begins with `v=TLSRPTv1;`. */
export function parseReportRecord(records: readonly string[]): Destination[] {
  const [record, ...others] = records.filter((text) => /^v=TLSRPTv1\s*;/.test(text));
  if (record === undefined || others.length > 0) return [];
  const rua = record
    .split(";")
    .map((field) => /^\s*rua\s*=\s*(.*?)\s*$/.exec(field)?.[1])
    .find((value) => value !== undefined);
  return (rua ?? "")
    .split(",")
    .map((uri) => parseDestination(uri.trim()))
    .filter((destination) => destination !== undefined)
    .slice(0, destinationsMax);
}

function parseDestination(uri: string): Destination | undefined {
  if (!URL.canParse(uri)) return undefined;
  const url = new URL(uri);
  if (url.protocol === "https:" && url.username === "") return { kind: "https", url };
  if (url.protocol !== "mailto:") return undefined;
  let address: string;
  try {
    address = decodeURIComponent(url.pathname);
  } catch {
    // A percent sign without two digits: no address.
    return undefined;
  }
  return /^[^\s@,<>"\\]{1,64}@[^\s@,<>"\\]{1,253}$/.test(address) ? { kind: "mailto", address } : undefined;
}

/** The id of a domain's report of a day: the same again for the same report. */
export const reportId = ({ day, domain }: TlsTally, reporter: Reporter): string =>
  `${day}_${domain}@${reporter.domain}`;

/** A report as JSON (RFC 8460 §4.4). */
export function reportJson(tally: TlsTally, reporter: Reporter): Record<string, unknown> {
  const startMs = Date.parse(`${tally.day}T00:00:00Z`);
  return {
    "organization-name": reporter.domain,
    "date-range": {
      "start-datetime": `${tally.day}T00:00:00Z`,
      "end-datetime": `${new Date(startMs + dayMs - 1_000).toISOString().slice(0, 19)}Z`,
    },
    "contact-info": reporter.contact,
    "report-id": reportId(tally, reporter),
    policies: tally.policies.map(({ type, lines, mx, succeeded, failed, failures }) => ({
      policy: {
        "policy-type": type,
        ...(lines.length === 0 ? {} : { "policy-string": lines }),
        "policy-domain": tally.domain,
        ...(mx.length === 0 ? {} : { "mx-host": mx }),
      },
      summary: { "total-successful-session-count": succeeded, "total-failure-session-count": failed },
      "failure-details": failures.map(({ result, count, mx: host, ip, localIp, why }) => ({
        "result-type": result,
        ...(localIp === undefined ? {} : { "sending-mta-ip": localIp }),
        ...(host === undefined ? {} : { "receiving-mx-hostname": host }),
        ...(ip === undefined ? {} : { "receiving-ip": ip }),
        "failed-session-count": count,
        ...(why === undefined ? {} : { "failure-reason-code": why }),
      })),
    })),
  };
}

/** `mail.example!example.org!1763596800!1763683199.json.gz` (RFC 8460 §5.1). */
export function reportFileName(tally: TlsTally, reporter: Reporter): string {
  const startS = Date.parse(`${tally.day}T00:00:00Z`) / 1_000;
  return `${reporter.domain}!${tally.domain}!${startS}!${startS + dayMs / 1_000 - 1}.json.gz`;
}

/** A report as a message (RFC 8460 §5.3), with CRLF line ends. `packed` is the JSON in gzip. */
export function reportMail(
  tally: TlsTally,
  reporter: Reporter,
  to: string,
  packed: Uint8Array,
  { messageId, atMs }: { messageId: string; atMs: number },
): Buffer {
  const boundary = `tyto-${messageId}`;
  const fileName = reportFileName(tally, reporter);
  const lines = [
    `From: <${reporter.contact}>`,
    `To: <${to}>`,
    `Date: ${new Date(atMs).toUTCString().replace("GMT", "+0000")}`,
    `Message-ID: <${messageId}@${reporter.domain}>`,
    `Subject: Report Domain: ${tally.domain}\r\n Submitter: ${reporter.domain}\r\n Report-ID: <${reportId(tally, reporter)}>`,
    `TLS-Report-Domain: ${tally.domain}`,
    `TLS-Report-Submitter: ${reporter.domain}`,
    // RFC 8689 §5: a report of what keeps mail away must not be kept away by it.
    "TLS-Required: No",
    "Auto-Submitted: auto-generated",
    "MIME-Version: 1.0",
    `Content-Type: multipart/report; report-type="tlsrpt";\r\n boundary="${boundary}"`,
    "",
    `--${boundary}`,
    "Content-Type: text/plain; charset=us-ascii",
    "",
    `Sessions to the mail servers of ${tally.domain} on ${tally.day} (UTC), as ${reporter.domain}`,
    "saw them: how many were encrypted as the domain's policies demand, and what kept others from it.",
    "",
    `--${boundary}`,
    "Content-Type: application/tlsrpt+gzip",
    "Content-Transfer-Encoding: base64",
    `Content-Disposition: attachment;\r\n filename="${fileName}"`,
    "",
    ...(Buffer.from(packed)
      .toString("base64")
      .match(/.{1,76}/g) ?? []),
    `--${boundary}--`,
    "",
  ];
  return Buffer.from(lines.join("\r\n"), "latin1");
}
