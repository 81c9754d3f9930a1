import type { Reply } from "@tyto/contracts";
import { type Classification, classify } from "./classify.ts";
import type { Provider } from "./providers.ts";

const textCharsMax = 2_000;
const linesMax = 100;
const replyLine = /^\s*([2-5]\d\d)(?:[ -]|$)\s?(?:#?([245]\.\d{1,3}\.\d{1,3})(?=[\s:;,)-]|$))?[ \t:;-]*/;
/** qmail and its descendants put it last: `(#5.1.1)`. */
const trailingStatus = /\(#([245]\.\d{1,3}\.\d{1,3})\)/;
const enhancedCode = /^[245]\.\d{1,3}\.\d{1,3}$/;

/**
 * Reads an SMTP reply as a server sent it (RFC 5321 §4.2), one line or several, with or without an enhanced status
 * code (RFC 2034). The result's text has neither code nor enhanced code in it. `undefined` when no line starts with a
 * reply code.
 */
export function parseReply(raw: string): Reply | undefined {
  const lines = raw.slice(0, 4 * textCharsMax).split(/\r\n|\r|\n/, linesMax);
  let code: number | undefined;
  let enhanced: string | undefined;
  const text: string[] = [];
  for (const line of lines) {
    const [prefix, digits, leading] = replyLine.exec(line) ?? [""];
    const status = leading ?? trailingStatus.exec(line)?.[1];
    // RFC 5321 §4.2.1: every line carries the same code. Other digits are a part of the text.
    const isReplyLine = digits !== undefined && (code === undefined || Number(digits) === code);
    if (isReplyLine) code ??= Number(digits);
    // RFC 3463 §2: the first digits agree, else the status belongs to something else.
    if (isReplyLine && status?.startsWith(digits.charAt(0))) enhanced ??= status;
    const rest = printable(isReplyLine ? line.slice(prefix.length) : line);
    if (rest !== "") text.push(rest);
  }
  if (code === undefined) return undefined;
  return {
    code,
    ...(enhanced === undefined ? {} : { enhanced }),
    text: text.join("\n").slice(0, textCharsMax),
  };
}

/** What stands before a reply that a report quotes. */
const quoted =
  /(?:^|said:|says:|<<<|>>>|was:|is:|with:?|problem:?|returned:?|response:|responded as follows:|message:|error:?|reason:?|command:|:|#|['"([<;,])[ \t]{0,8}(?:smtp;[ \t]?)?(?:[45]\d\d[ ])?(?=[45]\d\d(?:[ -]#?[\p{L}<["'(]|[ -]#?[245]\.\d{1,3}\.\d))/gimu;
const quotesMax = 10;

/** The first SMTP reply inside a text that quotes one: `said: 550 5.1.1 …`, `<<< 550 …`, `#550 5.1.1 …`. */
export function findReply(text: string): Reply | undefined {
  const front = text.slice(0, 2 * textCharsMax);
  let tries = 0;
  for (const { index, 0: before } of front.matchAll(quoted)) {
    if (++tries > quotesMax) return undefined;
    const [paragraph = ""] = front.slice(index + before.length).split(/\n[ \t]*\n/, 1);
    const reply = parseReply(paragraph);
    if (reply !== undefined && reply.code >= 400) return reply;
  }
  return undefined;
}

/** The first enhanced status code of a failure inside a text (RFC 3463). */
export function findStatus(text: string): string | undefined {
  return /(?<![\d.])[45]\.\d{1,3}\.\d{1,3}(?![\d.]*\d)/.exec(text.slice(0, 2 * textCharsMax))?.[0];
}

/** The reply on one line as people quote it: `550 5.1.1 No such user`. */
export function formatReply(reply: Reply): string {
  return [reply.code, reply.enhanced, reply.text.replaceAll("\n", " ")]
    .filter((part) => part !== undefined && part !== "")
    .join(" ");
}

/**
 * Why a server refused, who has to change something, and whether trying again can help. A 4xx is never hard. The
 * enhanced status code is left out of account when it contradicts the reply's class. `provider` says whose server
 * answered, where that is known: the same words mean different things at different providers.
 */
export function classifyReply(reply: Reply, provider?: Provider): Classification {
  const enhanced =
    reply.enhanced !== undefined && enhancedCode.test(reply.enhanced) ? reply.enhanced : undefined;
  return classify({
    isPermanent: reply.code >= 500,
    code: reply.code,
    ...(enhanced === undefined ? {} : { status: enhanced }),
    text: reply.text,
    ...(provider === undefined ? {} : { provider }),
  });
}

/** Control characters (a reply may hold anything) become spaces; bytes that were not UTF-8 arrive as U+FFFD already. */
function printable(text: string): string {
  return text.replace(/\p{Cc}+/gu, " ").trim();
}
