/**
 * What a message that came in is: exactly one kind, and why. First what it says it is (claimOf), then what of that is
 * believed (understand): that it concerns a message of ours only a MAC of ours can say, that it concerns a domain of ours
 * only our own list. What claims to be something and cannot be read or believed is `unclear`, never something else.
 */
import { type DeliveryId, type MessageId, type Origin, phrase } from "@tyto/contracts";
import { autoReplySign } from "./auto-reply.ts";
import { challengeSign } from "./challenge.ts";
import { type Complaint, readComplaint } from "./complaint.ts";
import { type DmarcReport, readDmarcReport } from "./dmarc-report.ts";
import { header, type Message } from "./message.ts";
import { decodeMessageId } from "./message-id.ts";
import { type About, aboutDelivery, aboutIn } from "./original.ts";
import type { Purpose } from "./own-address.ts";
import { replyText } from "./reply-text.ts";
import { type Report, readReport } from "./report.ts";
import { policiesMax, readTlsReport, type TlsReport } from "./tls-report.ts";

/** What a message says it is, believed or not. */
export type Claim =
  | { kind: "bounce"; why: string; report: Report }
  | { kind: "complaint"; why: string; complaint: Complaint; marks: string }
  | { kind: "dmarc-report"; why: string; reports: readonly DmarcReport[] }
  | { kind: "tls-report"; why: string; reports: readonly TlsReport[] }
  | { kind: "challenge"; why: string }
  | { kind: "auto-reply"; why: string }
  | { kind: "reply"; why: string; text: string }
  | { kind: "mail"; why: string }
  | { kind: "unclear"; why: string };

/** What the envelope and this installation know. */
export type Facts = {
  /** The reverse path; `""` is the null path of reports (RFC 5321 §4.5.5). */
  envelopeFrom: string;
  envelopeTo: string;
  /** From `envelopeTo`, where it is an address that we made for one delivery and its MAC is right. */
  deliveryId?: DeliveryId;
  purpose?: Purpose;
  origin?: Origin;
  /** The key of all our MACs. */
  verpKey: string;
  isOwnDomain(domain: string): boolean;
  nowMs: number;
};

export type Understood = { why: string } & (
  | { kind: "bounce"; deliveryId: DeliveryId; origin?: Origin; report: Report }
  | { kind: "complaint"; about: About; complaint: Complaint }
  | { kind: "unsubscribe"; about: AboutDelivery; method: "mailto" | "report" }
  | { kind: "auto-reply"; about?: About }
  | { kind: "challenge"; about?: About }
  | { kind: "dmarc-report"; reports: DmarcReport[] }
  | { kind: "tls-report"; reports: TlsReport[] }
  | { kind: "reply"; about: About; foundBy: "return-path" | "message-id"; text: string }
  | { kind: "mail" }
  | { kind: "unclear" }
);

type AboutDelivery = About & { deliveryId: DeliveryId };

/** Reads without believing: no key, no envelope. The order matters, since reports about mail look like reports of mail. */
export function claimOf(message: Message): Claim {
  // Most of what comes in; nothing else has this type.
  const isDeliveryReport = /report-type\s*=\s*"?delivery-status/i.test(header(message, "content-type") ?? "");
  return (isDeliveryReport ? reported(message) : undefined) ?? claimOfOther(message);
}

function reported(message: Message): Claim | undefined {
  const report = readReport(message);
  return report === undefined ? undefined : { kind: "bounce", why: phrase("inbound.report", {}), report };
}

function claimOfOther(message: Message): Claim {
  const complaint = readComplaint(message);
  if (complaint?.kind === "complaint")
    return { ...complaint, why: phrase("inbound.complaint", { format: complaint.complaint.format }) };
  if (complaint !== undefined) return complaint;
  const tls = readTlsReport(message);
  if (tls !== undefined) return tls.kind === "unclear" ? tls : { ...tls, why: phrase("inbound.tls", {}) };
  const dmarc = readDmarcReport(message);
  if (dmarc !== undefined)
    return dmarc.kind === "unclear" ? dmarc : { ...dmarc, why: phrase("inbound.dmarc", {}) };
  const bounce = reported(message);
  if (bounce !== undefined) return bounce;
  const challenger = challengeSign(message);
  if (challenger !== undefined)
    return { kind: "challenge", why: phrase("inbound.challenge", { system: challenger }) };
  const sign = autoReplySign(message);
  if (sign !== undefined) return { kind: "auto-reply", why: phrase("inbound.auto-reply", { sign }) };
  if (references(message).length > 0)
    return { kind: "reply", why: phrase("inbound.references", {}), text: replyText(message) };
  return { kind: "mail", why: phrase("inbound.no-answer", {}) };
}

export function understand(message: Message, facts: Facts): Understood {
  const claim = claimOf(message);
  const { deliveryId, purpose, verpKey } = facts;
  const own = deliveryId === undefined ? undefined : aboutDelivery(deliveryId);
  const origin = facts.origin === undefined ? {} : { origin: facts.origin };
  switch (claim.kind) {
    case "complaint": {
      const about = aboutIn(claim.marks, verpKey) ?? (own === undefined ? undefined : { ...own, ...origin });
      if (about === undefined)
        return { kind: "unclear", why: phrase("inbound.no-message", { claim: claim.why }) };
      // Who opts out complains about nobody.
      if (claim.complaint.feedback === "opt-out" && isDelivery(about))
        return {
          kind: "unsubscribe",
          why: phrase("inbound.opt-out-report", { claim: claim.why }),
          about,
          method: "report",
        };
      return { kind: "complaint", why: claim.why, about, complaint: claim.complaint };
    }
    case "dmarc-report":
      return ofOurDomains(claim.why, claim.kind, claim.reports, facts);
    case "tls-report": {
      const ours = ofOurDomains(claim.why, claim.kind, claim.reports, facts);
      return ours.kind === "unclear" ? ours : { ...ours, reports: perDomain(ours.reports) };
    }
    case "bounce":
      if (deliveryId !== undefined && (purpose ?? "return-path") === "return-path")
        return { kind: "bounce", why: claim.why, deliveryId, ...origin, report: claim.report };
      return { kind: "unclear", why: phrase("inbound.no-path", { claim: claim.why }) };
    case "unclear":
      return claim;
    default:
      break;
  }
  // Whatever a person or their program writes to this address, it says one thing.
  if (purpose === "unsubscribe" && own !== undefined && isDelivery(own))
    return {
      kind: "unsubscribe",
      why: phrase("inbound.opt-out-address", {}),
      about: own,
      method: "mailto",
    };
  const about = own ?? answered(message, verpKey);
  if (claim.kind === "challenge" || claim.kind === "auto-reply")
    return { kind: claim.kind, why: claim.why, ...(about === undefined ? {} : { about }) };
  // RFC 5321 §4.5.5: people's mail has a reverse path. What comes to a return path without one should be a report.
  if (facts.envelopeFrom === "" && deliveryId !== undefined && (purpose ?? "return-path") === "return-path") {
    const report = readReport(message, true);
    if (report !== undefined)
      return { kind: "bounce", why: phrase("inbound.own-words", {}), deliveryId, ...origin, report };
  }
  if (facts.envelopeFrom === "") return { kind: "unclear", why: phrase("inbound.empty-path", {}) };
  if (about === undefined) return { kind: "mail", why: phrase("inbound.nothing-ours", {}) };
  const foundBy = own === undefined ? "message-id" : "return-path";
  const why = phrase(own === undefined ? "inbound.names-ours" : "inbound.our-path", {});
  const text = claim.kind === "reply" ? claim.text : replyText(message);
  return { kind: "reply", why, about, foundBy, text };
}

const isDelivery = (about: About): about is AboutDelivery => about.deliveryId !== undefined;

const idsMax = 20;

/** In-Reply-To, then References from the latest to the earliest (RFC 5322 §3.6.4). */
function references(message: Message): string[] {
  const ids = (name: string) => [
    ...(header(message, name) ?? "").slice(0, 20_000).matchAll(/<[^<>\s]{3,320}>/g),
  ];
  return [...ids("in-reply-to"), ...ids("references").reverse()].slice(0, idsMax).map(([id]) => id);
}

function answered(message: Message, key: string): About | undefined {
  for (const id of references(message)) {
    const messageId: MessageId | undefined = decodeMessageId(id, key);
    if (messageId !== undefined) return { messageId };
  }
  return undefined;
}

const dayMs = 86_400_000;
/** Reports come within days; how far their time range may lie from now. */
const rangeMsMax = { past: 60 * dayMs, future: 2 * dayMs };

function ofOurDomains<
  K extends "dmarc-report" | "tls-report",
  R extends { domain: string; beginAt: number; endAt: number },
>(
  why: string,
  kind: K,
  reports: readonly R[],
  { isOwnDomain, nowMs }: Facts,
): { kind: K; why: string; reports: R[] } | { kind: "unclear"; why: string } {
  const ours = reports.flatMap((report) => {
    const domain = ownDomain(report.domain, isOwnDomain);
    return domain === undefined ? [] : [{ ...report, domain }];
  });
  const [first] = ours;
  if (first === undefined) {
    const names = [...new Set(reports.map(({ domain }) => domain))].slice(0, 3).join(", ");
    return { kind: "unclear", why: phrase("inbound.not-ours", { claim: why, domains: names }) };
  }
  if (first.beginAt < nowMs - rangeMsMax.past || first.endAt > nowMs + rangeMsMax.future)
    return { kind: "unclear", why: phrase("inbound.not-now", { claim: why }) };
  return { kind, why, reports: ours };
}

/** A domain and its subdomains become one report: reports count once by domain, reporter and id. */
function perDomain(reports: readonly TlsReport[]): TlsReport[] {
  const byDomain = new Map<string, TlsReport>();
  for (const report of reports) {
    const policies = [...(byDomain.get(report.domain)?.policies ?? []), ...report.policies];
    byDomain.set(report.domain, { ...report, policies: policies.slice(0, policiesMax) });
  }
  return [...byDomain.values()];
}

/** The domain itself or the nearest above it that is ours: reports also come for subdomains. */
function ownDomain(domain: string, isOwnDomain: (domain: string) => boolean): string | undefined {
  for (let name = domain; name.includes("."); name = name.slice(name.indexOf(".") + 1))
    if (isOwnDomain(name)) return name;
  return undefined;
}
