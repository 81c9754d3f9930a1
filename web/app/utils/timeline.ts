import { suppresses } from "@tyto/contracts";
import { isRecord, textOf } from "./record.ts";
import type { Look } from "./status.ts";

/** One event of a message's life as Convex stores it. `subject` is the event's name, such as `mail.delivered`. */
export type TimelineEvent = {
  eventId: string;
  subject: string;
  at: number;
  recipient?: string;
  reply?: string;
  detail?: unknown;
};

const looks: Record<string, Look> = {
  "mail.accepted": { tone: "info", icon: "i-lucide-inbox" },
  "mail.submitted": { tone: "info", icon: "i-lucide-inbox" },
  "mail.scanned": { tone: "primary", icon: "i-lucide-shield-check" },
  "mail.refused": { tone: "error", icon: "i-lucide-shield-alert" },
  "mail.held": { tone: "warning", icon: "i-lucide-hand" },
  "mail.cancelled": { tone: "neutral", icon: "i-lucide-x" },
  "mail.suppressed": { tone: "neutral", icon: "i-lucide-ban" },
  "mail.deferred": { tone: "warning", icon: "i-lucide-clock" },
  "mail.delivered": { tone: "success", icon: "i-lucide-check" },
  "mail.bounced": { tone: "error", icon: "i-lucide-undo-2" },
  "mail.complained": { tone: "error", icon: "i-lucide-flag" },
  "mail.unsubscribed": { tone: "warning", icon: "i-lucide-mail-x" },
  "mail.replied": { tone: "success", icon: "i-lucide-reply" },
  "mail.reported": { tone: "info", icon: "i-lucide-file-text" },
};

export const timelineLook = (subject: string): Look =>
  looks[subject] ?? { tone: "neutral", icon: "i-lucide-circle" };

/** True for the events that have words of their own in the locales. */
export const isKnownEvent = (subject: string): boolean => Object.hasOwn(looks, subject);

export type TimelineRow = Omit<TimelineEvent, "reply"> & {
  /** The other server's words. */
  reply: string | undefined;
  /** Since the row above; undefined for the first. */
  deltaMs: number | undefined;
  facts: Fact[];
  /** Our reason, one of the contract's list. */
  reason: string | undefined;
  explanation: string | undefined;
  /** What a person wrote back. */
  quote: string | undefined;
  /** Its address has got nothing since. */
  suppresses: boolean;
};

/** The rows to show, oldest first; with `recipient`, its own events and those of the whole message. */
export function timelineRows(events: readonly TimelineEvent[], recipient?: string): TimelineRow[] {
  const shown = events
    .filter(
      (event) => recipient === undefined || event.recipient === undefined || event.recipient === recipient,
    )
    .toSorted((a, b) => a.at - b.at);
  return shown.map((event, index) => {
    const above = shown[index - 1];
    const detail = isRecord(event.detail) ? event.detail : {};
    const explanation = textOf(detail.explanation) ?? textOf(detail.why) ?? textOf(detail.diagnostic);
    return {
      ...event,
      // Where the other server said nothing, Convex keeps our own words as the reply, too.
      reply: event.reply === explanation ? undefined : event.reply,
      deltaMs: above === undefined ? undefined : event.at - above.at,
      facts: factsOf(event.detail),
      reason: textOf(detail.reason),
      explanation,
      quote: textOf(detail.text),
      suppresses: event.subject === "mail.bounced" && suppressesBy(detail),
    };
  });
}

function suppressesBy({ hard, confidence, fault }: Record<string, unknown>): boolean {
  if (typeof hard !== "boolean" || typeof confidence !== "number" || fault !== "recipient") return false;
  return suppresses({ hard, confidence, fault });
}

/** One fact of an event: `name` is an i18n key under `fact.`. `value` is shown as it is, unless `key` is one of words for it. */
export type Fact = { name: string; value: string; key?: string };

const feedbacks = ["abuse", "fraud", "virus", "not-spam", "opt-out", "other"];
const methods = ["one-click", "link", "mailto", "report"];

/** MX, address, encryption, signatures, who complained or answered and the rest, read from an event's detail; what is absent is left out. */
export function factsOf(detail: unknown): Fact[] {
  if (!isRecord(detail)) return [];
  const talk = isRecord(detail.conversation) ? detail.conversation : {};
  const source = textOf(detail.source);
  const feedback = feedbacks.find((one) => one === detail.feedback);
  const method = methods.find((one) => one === detail.method);
  const facts: [name: string, value: string | undefined, key?: string | undefined][] = [
    ["attempt", typeof detail.attempt === "number" ? String(detail.attempt) : undefined],
    ["mx", textOf(talk.mx) ?? textOf(detail.remoteMta)],
    ["ip", textOf(talk.ip)],
    ["localIp", textOf(talk.localIp)],
    ["tls", tlsOf(talk), talk.tls === null ? "fact.tlsNone" : undefined],
    ["dkim", dkimOf(detail.dkim)],
    ["returnPath", textOf(detail.returnPath)],
    ["source", source, source === "dsn" || source === "smtp" ? `fact.source-${source}` : undefined],
    ["feedback", textOf(detail.feedback), feedback === undefined ? undefined : `bounce.feedback.${feedback}`],
    ["reporter", textOf(detail.reporter)],
    ["method", textOf(detail.method), method === undefined ? undefined : `bounce.method.${method}`],
    ["from", textOf(detail.from)],
    ["subject", textOf(detail.subject)],
    ["signature", textOf(detail.signature)],
    ["engine", textOf(detail.engine)],
    ["status", textOf(detail.status)],
    ["took", tookOf(talk.durationMs ?? detail.durationMs)],
  ];
  return facts.flatMap(([name, value, key]) =>
    value === undefined ? [] : [{ name, value, ...(key === undefined ? {} : { key }) }],
  );
}

function tlsOf(talk: Record<string, unknown>): string | undefined {
  if (talk.tls === null) return "none";
  if (!isRecord(talk.tls)) return undefined;
  return [textOf(talk.tls.version), textOf(talk.tls.cipher)].filter((part) => part !== undefined).join(" · ");
}

function dkimOf(signatures: unknown): string | undefined {
  if (!Array.isArray(signatures) || signatures.length === 0) return undefined;
  return signatures
    .filter(isRecord)
    .map(
      (one) =>
        `${textOf(one.selector) ?? "?"}._domainkey.${textOf(one.domain) ?? "?"} (${textOf(one.algorithm) ?? "?"})`,
    )
    .join(", ");
}

const tookOf = (ms: unknown) => (typeof ms === "number" ? `${Math.round(ms)} ms` : undefined);
