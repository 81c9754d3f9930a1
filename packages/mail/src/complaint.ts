/** Complaints: a recipient said "spam", and the provider passes it on (RFC 5965 and its dialects, RFC 9477). */
import { Address } from "@tyto/contracts";
import type { Complaint } from "./complaints/format.ts";
import { complaintFormats } from "./complaints/index.ts";
import { header, type Message } from "./message.ts";
import { marksIn } from "./original.ts";

export type { Complaint, Feedback } from "./complaints/format.ts";

export type ComplaintClaim =
  | { kind: "complaint"; complaint: Complaint; marks: string }
  | { kind: "unclear"; why: string };

const yearMs = 366 * 86_400_000;

/**
 * Reads a complaint; `undefined` when the message is none. Whose mail it is about stands in `marks` and is for aboutIn() to
 * decide: the rest is the reporter's claim.
 */
export function readComplaint(message: Message): ComplaintClaim | undefined {
  for (const format of complaintFormats) {
    const found = format(message);
    if (found === undefined) continue;
    if (found.notAComplaint !== undefined) return { kind: "unclear", why: found.notAComplaint };
    const field = (...names: string[]) =>
      found.fields.find(({ name, value }) => names.includes(name) && value.trim() !== "")?.value.trim();
    const reporter = reporterOf(message.from ?? field("reporting-mta", "reported-domain") ?? "");
    const claimedRecipient = addressIn(field("original-rcpt-to", "removal-recipient", "x-original-rcpt-to"));
    const sourceIp = /[0-9a-f]*[.:][0-9a-f.:]{2,44}/i.exec(field("source-ip") ?? "")?.[0];
    const arrivedAt = timeIn(field("arrival-date", "received-date", "arrival-time"), header(message, "date"));
    return {
      kind: "complaint",
      complaint: {
        feedback: found.feedback,
        format: found.format,
        ...(reporter === undefined ? {} : { reporter }),
        ...(claimedRecipient === undefined ? {} : { claimedRecipient }),
        ...(sourceIp === undefined ? {} : { sourceIp: sourceIp.slice(0, 45) }),
        ...(arrivedAt === undefined ? {} : { arrivedAt }),
      },
      marks: marksIn(message, found.fields),
    };
  }
  return undefined;
}

/** Providers whose complaints come through a common service, which writes their names into its host names. */
const behindService =
  /@(\w{2,30}?)(?:-?fbl|-?feedback)?\.(?:senderscore\.net|fbl\.validity\.com|returnpath\.net)\b/i;
const serviceNames: Record<string, string> = {
  comcast: "comcast.net",
  cox: "cox.net",
  rackspace: "emailsrvr.com",
  fastmail: "fastmail.com",
  usa: "usa.net",
  bluetie: "bluetie.com",
  synacor: "synacor.com",
  telenor: "telenor.net",
  terra: "terra.com",
  uol: "uol.com.br",
  locaweb: "locaweb.com.br",
  liberty: "upc.ch",
  gandi: "gandi.net",
  mailtrust: "emailsrvr.com",
};

function reporterOf(from: string): string | undefined {
  const service = behindService.exec(from)?.[1]?.toLowerCase();
  const behind = service === undefined ? undefined : serviceNames[service];
  const domain =
    /@([a-z0-9](?:[a-z0-9.-]{0,250}[a-z0-9])?)/i.exec(from)?.[1] ??
    (/^[a-z0-9.-]{3,253}$/i.test(from) ? from : undefined);
  return behind ?? domain?.toLowerCase();
}

const addressIn = (field: string | undefined) =>
  Address.safeParse(
    field
      ?.slice(0, 500)
      .replace(/^[^<]*<([^<>]*)>.*$/s, "$1")
      .trim(),
  ).data;

/** A date within a year before the report; what is not one says nothing. */
function timeIn(field: string | undefined, reportedAt: string | undefined): number | undefined {
  const at = Date.parse(plainDate(field ?? ""));
  const reported = Date.parse(plainDate(reportedAt ?? ""));
  if (Number.isNaN(at) || at <= 0) return undefined;
  return Number.isNaN(reported) || Math.abs(reported - at) < yearMs ? at : undefined;
}

/** RFC 5322 dates may carry a comment, which Date.parse does not know. */
const plainDate = (text: string) =>
  text
    .slice(0, 100)
    .replace(/\([^()]*\)/g, "")
    .trim();
