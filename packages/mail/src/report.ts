import { Address, type Reply } from "@tyto/contracts";
import { type Classification, classify, type Refusal } from "./classify.ts";
import type { Message } from "./message.ts";
import { type Provider, readProvider } from "./providers.ts";
import { findReply, findStatus, parseReply } from "./reply.ts";
import { type Body, bodyOf, isOfMailSystem, originalRecipients } from "./reports/body.ts";
import type { Format, Found } from "./reports/format.ts";
import { lastResorts, standard, texts } from "./reports/index.ts";

/** What a delivery report says (RFC 3464, or a format of older software). Whose mail it is about, only the return path can say. */
export type Report = {
  reportingMta?: string;
  /** The software or standard that the format belongs to; `unknown` where the text was only guessed at. */
  format: string;
  recipients: readonly RecipientReport[];
};

export type RecipientReport = {
  /** The address as we sent to it where the report tells (`Original-Recipient`), else where it ended up. A claim. */
  address?: Address;
  /** Where it ended up, when that is another address. */
  finalAddress?: Address;
  action: Action;
  /** The enhanced status code. */
  status?: string;
  /** What the remote server said, where SMTP was spoken. */
  reply?: Reply;
  /** What the report says about it, in one line, for people. */
  diagnostic?: string;
  remoteMta?: string;
  /** For `failed` and `delayed`. */
  classification?: Classification;
};

export const actions = ["failed", "delayed", "delivered", "relayed", "expanded"] as const;
export type Action = (typeof actions)[number];

/** One recipient's fields as a format found them; all of them foreign text. */
export type RecipientFields = {
  originalRecipient?: string;
  finalRecipient?: string;
  actualRecipient?: string;
  action?: string;
  status?: string;
  /** Lines are kept: a reply of several lines repeats its code on each. */
  diagnostic?: string;
  /** Words of the report for people, looked at only when nothing else tells. */
  remark?: string;
  remoteMta?: string;
};

const recipientsMax = 100;
const charsMax = { diagnostic: 1_000, remoteMta: 253, remark: 1_500 };

/**
 * Reads a report; `undefined` when the message is none, or one that says nothing about any recipient. `isExpected` says that
 * nothing but a report should have come this way: then text is read as one whoever seems to have sent it.
 */
export function readReport(message: Message, isExpected = false): Report | undefined {
  const body = bodyOf(message);
  const found = standard(message, body);
  const told = found === undefined ? undefined : reportOf(withWords(found, message, body), message, body);
  if (told !== undefined) return told;
  // The words of a mail system in a person's mail are a quotation.
  if (!isExpected && !isOfMailSystem(message)) return undefined;
  for (const format of [...texts, ...lastResorts]) {
    const text = format(message, body);
    const report = text === undefined ? undefined : reportOf(text, message, body);
    if (report !== undefined) return report;
  }
  return undefined;
}

/**
 * Some systems (OpenSMTPD, Exchange, Domino) say why only in the text: a recipient without Diagnostic-Code gets the words
 * that the text has for the same address.
 */
function withWords(found: Found, message: Message, body: Body): Found {
  if (found.recipients.every(({ diagnostic }) => diagnostic !== undefined)) return found;
  const told = firstOf(texts, message, body)?.recipients ?? [];
  const words = new Map(told.map((fields) => [readAddress(fields.finalRecipient), fields.diagnostic]));
  return {
    ...found,
    recipients: found.recipients.map((fields) => {
      const address = readAddress(fields.originalRecipient) ?? readAddress(fields.finalRecipient);
      // Haraka, Messaging Server and others explain the status behind it.
      const comment = /^[\s\d.]{5,20}\(([\s\S]{3,1000}?)\)?\s*$/.exec(fields.status ?? "")?.[1];
      const diagnostic = words.get(address) ?? words.get(readAddress(fields.finalRecipient)) ?? comment;
      return fields.diagnostic !== undefined || diagnostic === undefined ? fields : { ...fields, diagnostic };
    }),
  };
}

function firstOf(formats: readonly Format[], message: Message, body: Body): Found | undefined {
  for (const format of formats) {
    const found = format(message, body);
    if (found !== undefined) return found;
  }
  return undefined;
}

function reportOf(found: Found, message: Message, body: Body): Report | undefined {
  const read = found.recipients
    .slice(0, recipientsMax)
    .map(readRecipient)
    .filter((recipient) => recipient !== undefined);
  const known = withAddress(read.filter(isFirst), message, body);
  if (known.length === 0) return undefined;
  const recipients = known.length > 1 && saysOneOfAll.test(body.said) ? known.map(asGuess) : known;
  const reportingMta = hostName(found.reportingMta);
  return { ...(reportingMta === undefined ? {} : { reportingMta }), format: found.software, recipients };
}

/** nullmailer gives up with the first refusal and says it of every recipient. */
const saysOneOfAll = /^This is the nullmailer delivery system\b/m;

/** Too unsure to suppress anybody. */
const asGuess = ({ classification, ...recipient }: RecipientReport): RecipientReport =>
  classification === undefined
    ? recipient
    : {
        ...recipient,
        classification: { ...classification, confidence: Math.min(classification.confidence, 0.5) },
      };

/** The first that is told about an address: some systems repeat a group for each of their attempts. */
function isFirst(one: RecipientReport, index: number, all: readonly RecipientReport[]): boolean {
  if (one.address === undefined) return true;
  const isSame = ({ address, finalAddress, action }: RecipientReport) =>
    address === one.address && finalAddress === one.finalAddress && action === one.action;
  return index === all.findIndex(isSame);
}

/** A report about one recipient that it does not name as an address is about whom the original was sent to. */
function withAddress(
  recipients: readonly RecipientReport[],
  message: Message,
  body: Body,
): readonly RecipientReport[] {
  const [only, ...others] = recipients;
  if (only === undefined || only.address !== undefined || others.length > 0) return recipients;
  const [first, ...more] = originalRecipients(message, body);
  const address = more.length > 0 ? undefined : Address.safeParse(first).data;
  return address === undefined ? recipients : [{ ...only, address }];
}

function readRecipient(fields: RecipientFields): RecipientReport | undefined {
  const { protocol, text } = splitDiagnostic(fields.diagnostic ?? "");
  const spoken =
    protocol === "smtp" || protocol === undefined ? (parseReply(text) ?? findReply(text)) : undefined;
  const told = /[245]\.\d{1,3}\.\d{1,3}/.exec(fields.status ?? "")?.[0];
  const status = told ?? spoken?.enhanced ?? (fields.status === undefined ? findStatus(text) : undefined);
  const action = readAction(fields.action, status) ?? (spoken && spoken.code >= 400 ? "failed" : undefined);
  if (action === undefined) return undefined;
  const reply = spoken;
  const address =
    readAddress(fields.originalRecipient) ??
    readAddress(fields.finalRecipient) ??
    readAddress(fields.actualRecipient);
  const final = readAddress(fields.finalRecipient);
  const remoteMta = hostName(fields.remoteMta);
  const diagnostic = text.replace(/\s+/g, " ").trim().slice(0, charsMax.diagnostic);
  const provider = remoteMta === undefined ? undefined : readProvider(remoteMta);
  const isRefusal = action === "failed" || action === "delayed";
  return {
    ...(address === undefined ? {} : { address }),
    ...(final === undefined || final === address ? {} : { finalAddress: final }),
    action,
    ...(status === undefined ? {} : { status }),
    ...(reply === undefined ? {} : { reply }),
    ...(diagnostic === "" ? {} : { diagnostic }),
    ...(remoteMta === undefined ? {} : { remoteMta }),
    ...(isRefusal
      ? {
          classification: judge(
            action,
            status,
            reply,
            text,
            remarkOn(fields.remark ?? "", address),
            provider,
          ),
        }
      : {}),
  };
}

/** What the report says near the address, or in its front. */
function remarkOn(remark: string, address: string | undefined): string {
  const at = address === undefined ? -1 : remark.indexOf(address);
  const from = Math.max(0, at - charsMax.remark / 3);
  return remark.slice(from, from + charsMax.remark);
}

/** What Exim adds to the last reply that it was told to come back with. */
const retriedTooLong = /: retry timeout exceeded\s*$/i;

/**
 * The remote's own reply outweighs the report's status, which many servers fill with `5.0.0`. `failed` with a 4.x.x
 * means that a server on the way gave up on a temporary problem: over, but not hard.
 */
function judge(
  action: Action,
  status: string | undefined,
  reply: Reply | undefined,
  diagnostic: string,
  remark: string,
  provider: Provider | undefined,
): Classification {
  const specific = [reply?.enhanced, status].find((one) => one !== undefined && !one.endsWith(".0.0"));
  const isPermanent =
    action === "failed" && (reply ? reply.code >= 500 : status ? status.startsWith("5") : true);
  const refusal: Refusal = {
    isPermanent,
    ...(reply === undefined ? {} : { code: reply.code }),
    ...(specific === undefined ? {} : { status: specific }),
    text: reply === undefined ? diagnostic : reply.text.replace(retriedTooLong, ""),
    ...(provider === undefined ? {} : { provider }),
  };
  const verdict = classify(refusal);
  if (verdict.confidence >= 0.7) return verdict;
  for (const text of [diagnostic, `${refusal.text} ${remark}`]) {
    const other = classify({ ...refusal, text });
    if (other.confidence > verdict.confidence && other.confidence >= 0.5)
      return { ...other, confidence: 0.5 };
  }
  if (verdict.confidence >= 0.5) return verdict;
  // Nothing says what kept it: only that somebody's time ran out, or runs.
  if (!isPermanent)
    return { reason: "expired", fault: "network", hard: false, confidence: verdict.confidence };
  return verdict;
}

/** RFC 3464 §2.3.3, and what software writes instead. */
function readAction(text: string | undefined, status: string | undefined): Action | undefined {
  const word = /[a-z]+/.exec((text ?? "").toLowerCase())?.[0] ?? "";
  const known = actions.find((action) => action === word);
  if (known) return known;
  if (word.startsWith("fail") || word === "error" || word === "undeliverable") return "failed";
  if (word.startsWith("delay") || word === "deferred") return "delayed";
  if (word.startsWith("deliver") || word === "success") return "delivered";
  if (status?.startsWith("5")) return "failed";
  if (status?.startsWith("4")) return "delayed";
  return status === undefined ? undefined : "delivered";
}

/** chasquid says before the reply which of its commands it answers. */
const commandBefore = /^(?:MAIL\+RCPT|DATA(?: closing)?|EHLO|HELO|STARTTLS) (?=[245]\d\d[ -])/;

/** `smtp; 550 5.1.1 …` is a protocol and its words (RFC 3464 §2.3.6). Gateways that join a reply's lines leave its codes inside. */
function splitDiagnostic(raw: string): { protocol: string | undefined; text: string } {
  const typed = /^\s*([A-Za-z][\w-]{0,30})\s*;\s*/.exec(raw);
  const text = raw.slice(typed?.[0].length ?? 0).replace(commandBefore, "");
  const [, code, enhanced] = /^\s*([245]\d\d)-([245]\.\d{1,3}\.\d{1,3})\b/.exec(text) ?? [];
  if (code === undefined || enhanced === undefined) return { protocol: typed?.[1]?.toLowerCase(), text };
  const again = new RegExp(`\\s+(?=${code}[- ]${enhanced.replaceAll(".", "\\.")}\\s)`, "g");
  return { protocol: typed?.[1]?.toLowerCase(), text: text.replace(/\s+/g, " ").replace(again, "\n") };
}

/** `rfc822; <ann@example.com>` (RFC 3464 §2.1.2) or `utf-8; …` with `\x{FC}` (RFC 6533 §3). */
function readAddress(field: string | undefined): Address | undefined {
  if (field === undefined) return undefined;
  const bare = field
    .slice(0, 1_000)
    .replace(/^\s*[\w-]{1,20}\s*;/, "")
    .replace(/\\x\{([0-9A-Fa-f]{1,6})\}/g, (whole, digits: string) => {
      const point = Number.parseInt(digits, 16);
      return point <= 0x10ffff ? String.fromCodePoint(point) : whole;
    })
    .replace(/^[^<]*<([^<>]*)>.*$/s, "$1");
  return Address.safeParse(bare.trim()).data;
}

/** `dns; mx.example.com. (192.0.2.1, …)` as `mx.example.com`. */
function hostName(field: string | undefined): string | undefined {
  const name = /^\s*(?:[\w-]{1,20}\s*;)?\s*([^\s;()]+)/
    .exec(field?.slice(0, 1_000) ?? "")?.[1]
    ?.replace(/\.$/, "");
  return name && /^[\p{L}\p{N}._:[\]-]+$/u.test(name) ? name.slice(0, charsMax.remoteMta) : undefined;
}
