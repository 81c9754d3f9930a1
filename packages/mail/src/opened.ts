import { decodeWords, fromByteText, toByteText } from "./encodings.ts";
import { frontOf } from "./front.ts";
import { textOfHtml } from "./html.ts";
import { type Header, type Leaf, readStructure } from "./mime.ts";
import { isText, joined, oneLine, shownMailbox, withLineFeeds } from "./shown.ts";

/** A whole message, opened for a person to read. Everything in it is a stranger's claim, and so is the HTML. */
export type OpenedMessage = {
  /** In order, encoded words decoded, names in lower case; at most 500 of them. */
  headers: readonly Header[];
  from?: string;
  to?: string;
  cc?: string;
  replyTo?: string;
  subject?: string;
  /** The plain text, or the text of the HTML (`isTextOfHtml`). Lines end with \n. */
  text: string;
  isTextOfHtml: boolean;
  /** As it came, scripts and all. */
  html?: string;
  /** Every part that is not text to read; a message inside the message is one. */
  files: readonly OpenedFile[];
  /** False when the message, its text or its HTML is longer than what is read of it. */
  isWhole: boolean;
};

/** `type`: the media type in lower case. `contentId`: by what the HTML may name it. */
export type OpenedFile = { type: string; name: string; bytes: Uint8Array; contentId?: string };

/** The largest message that port 25 takes by default has 36 MiB. */
export const openedBytesMax = 40 * 1_048_576;
const readMax = { bytes: openedBytesMax, lines: 1_000_000, dashLines: 20_000 };
const charsMax = { field: 4_000, subject: 998, text: 500_000, html: 1_000_000, name: 200 };
const headersMax = 500;

/**
 * Reads a message as `readMessage` does, by the same parser, with room for what people send each other: 40 MiB, a million
 * lines, files included. `undefined` when nesting or headers exceed any reason; never throws for what the bytes say.
 */
export function openMessage(bytes: Uint8Array): OpenedMessage | undefined {
  const front = frontOf(bytes, readMax);
  const structure = readStructure(withLineFeeds(toByteText(front)));
  if (structure === undefined) return undefined;
  const { headers, leaves } = structure;
  const plain = joined(
    leaves.filter((leaf) => isText(leaf, "text/plain")),
    charsMax.text,
  );
  const html = joined(
    leaves.filter((leaf) => isText(leaf, "text/html")),
    charsMax.html,
  );
  const isTextOfHtml = plain.trim() === "" && html !== "";
  const text = isTextOfHtml ? textOfHtml(html).slice(0, charsMax.text) : plain;
  return {
    headers: headers.slice(0, headersMax).map(shownHeader),
    ...namedFields(headers),
    text,
    isTextOfHtml,
    ...(html === "" ? {} : { html }),
    files: leaves.filter((leaf) => !isText(leaf, "text/plain") && !isText(leaf, "text/html")).map(openedFile),
    isWhole: front.length === bytes.length && text.length < charsMax.text && html.length < charsMax.html,
  };
}

const shownHeader = ({ name, value }: Header): Header => ({
  name,
  value: oneLine(decodeWords(value), charsMax.field),
});

function namedFields(headers: readonly Header[]) {
  const field = (name: string) => headers.find((header) => header.name === name);
  const [from, subject] = [shownMailbox(field("from")?.value), field("subject")];
  const shown = (name: string) => {
    const found = field(name);
    return found === undefined ? undefined : shownHeader(found).value;
  };
  const [to, cc, replyTo] = [shown("to"), shown("cc"), shown("reply-to")];
  return {
    ...(from === undefined ? {} : { from }),
    ...(to === undefined ? {} : { to }),
    ...(cc === undefined ? {} : { cc }),
    ...(replyTo === undefined ? {} : { replyTo }),
    ...(subject === undefined ? {} : { subject: oneLine(decodeWords(subject.value), charsMax.subject) }),
  };
}

function openedFile({ type, name, body, contentId }: Leaf, index: number): OpenedFile {
  const given = name === undefined ? "" : oneLine(decodeWords(name), charsMax.name);
  return {
    type,
    name: given === "" ? nameOf(type, index) : given,
    bytes: fromByteText(body),
    ...(contentId === undefined ? {} : { contentId }),
  };
}

/** For parts that came without a name, as the parts of reports do. */
function nameOf(type: string, index: number): string {
  const [, kind = ""] = type.split("/");
  if (type === "message/rfc822" || type === "message/global") return "message.eml";
  if (type.startsWith("message/") || type.startsWith("text/")) return `${kind}.txt`;
  return `file-${index + 1}`;
}
