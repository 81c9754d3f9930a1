import { decodeCharset, decodeWords, fromByteText, toByteText } from "./encodings.ts";
import { textOfHtml } from "./html.ts";
import { type Header, type Leaf, readStructure } from "./mime.ts";

/** What Tyto reads of a message that came in. Everything in it is a stranger's claim. */
export type Message = {
  /** Header values in order, names in lower case, encoded words as they came. */
  headers: readonly Header[];
  /** As shown to people: `Name <name@example.com>`. */
  from?: string;
  subject?: string;
  /** The readable text, from the HTML where there is no plain text. Lines end with \n. */
  text: string;
  /** The HTML as it came, where there is some. */
  html?: string;
  /** Every part that is not readable text, with its transfer encoding undone. `type` is the media type in lower case. */
  parts: readonly Part[];
};

export type Part = { type: string; name?: string; bytes: Uint8Array };

/** Reports and headers stand in front; what comes after this is the mail that was sent, or attachments. */
const bytesReadMax = 512 * 1024;
/** Each line and each part costs something, however short. */
const linesReadMax = 20_000;
const dashLinesReadMax = 1_000;
const charsMax = { from: 500, subject: 998, text: 20_000, html: 60_000, mailbox: 2_000 };

/**
 * Reads the structure of a message (RFC 5322, RFC 2045). Looks at its first 512 KB, 20,000 lines and 1,000 lines that
 * could divide parts. Messages inside the message stay parts. `undefined` when nesting or headers exceed any reason;
 * never throws for what the bytes say.
 */
export function readMessage(bytes: Uint8Array): Message | undefined {
  const byteText = withLineFeeds(toByteText(readable(bytes)));
  const structure = readStructure(byteText);
  if (structure === undefined) return undefined;
  const { headers, leaves } = structure;
  const isText = (leaf: Leaf, type: string) => leaf.type === type && !leaf.isAttachment;
  const plain = leaves.filter((leaf) => isText(leaf, "text/plain"));
  const pages = leaves.filter((leaf) => isText(leaf, "text/html"));
  const html = joined(pages, charsMax.html);
  const text = joined(plain, charsMax.text);
  const from = shownMailbox(headers.find(({ name }) => name === "from")?.value);
  const subject = headers.find(({ name }) => name === "subject")?.value;
  return {
    headers,
    ...(from === undefined ? {} : { from }),
    ...(subject === undefined ? {} : { subject: oneLine(decodeWords(subject), charsMax.subject) }),
    text: text.trim() === "" && html !== "" ? textOfHtml(html).slice(0, charsMax.text) : text,
    ...(html === "" ? {} : { html }),
    parts: leaves
      .filter((leaf) => !isText(leaf, "text/plain") && !isText(leaf, "text/html"))
      .map(({ type, name, body }) => ({
        type,
        ...(name === undefined ? {} : { name: oneLine(decodeWords(name), charsMax.subject) }),
        bytes: fromByteText(body),
      })),
  };
}

function joined(leaves: readonly Leaf[], charsLimit: number): string {
  return leaves
    .map(({ body, charset }) => decodeCharset(body.slice(0, 2 * charsLimit), charset))
    .join("\n")
    .replaceAll("\r\n", "\n")
    .slice(0, charsLimit);
}

/** Some gateways end lines with a bare CR. */
const withLineFeeds = (byteText: string) =>
  byteText.includes("\n") ? byteText : byteText.replaceAll("\r", "\n");

/** The front of the message, cut where one of the bounds is met. */
function readable(bytes: Uint8Array): Uint8Array {
  const [lineFeed, dash] = [0x0a, 0x2d];
  const front = bytes.subarray(0, bytesReadMax);
  let dashLines = 0;
  let lines = 0;
  for (let at = front.indexOf(lineFeed); at !== -1; at = front.indexOf(lineFeed, at + 1)) {
    if (front[at + 1] === dash && front[at + 2] === dash) dashLines++;
    if (++lines > linesReadMax || dashLines > dashLinesReadMax) return front.subarray(0, at + 1);
  }
  return front;
}

/** The first value of a header. `name` in lower case. */
export function header(message: Message, name: string): string | undefined {
  return message.headers.find((one) => one.name === name)?.value;
}

/** `"Name" <name@example.com>`, `name@example.com (Name)` or what else stands in a From field, as people read it. */
function shownMailbox(field: string | undefined): string | undefined {
  if (field === undefined) return undefined;
  const value = field.slice(0, charsMax.mailbox);
  const [, display, address] = /^([^<]*)<\s*([^<>\s]{1,320})\s*>/.exec(value) ?? [];
  if (address !== undefined) {
    const name = decodeWords(
      (display ?? "")
        .trim()
        .replace(/^"(.*)"$/, "$1")
        .replace(/\\(.)/g, "$1"),
    );
    return oneLine(name === "" ? address : `${name} <${address}>`, charsMax.from);
  }
  const [, bare, comment] = /^\s*([^\s<>(),;]{1,320})(?:\s{1,10}\(([^()]{0,200})\))?/.exec(value) ?? [];
  if (bare === undefined || !bare.includes("@")) return undefined;
  return oneLine(comment === undefined ? bare : `${decodeWords(comment)} <${bare}>`, charsMax.from);
}

function oneLine(text: string, chars: number): string {
  return text
    .replace(/\p{Cc}+/gu, " ")
    .trim()
    .slice(0, chars);
}
