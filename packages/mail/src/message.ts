import { decodeWords, fromByteText, toByteText } from "./encodings.ts";
import { frontOf } from "./front.ts";
import { textOfHtml } from "./html.ts";
import { type Header, readStructure } from "./mime.ts";
import { isText, joined, oneLine, shownMailbox, withLineFeeds } from "./shown.ts";

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
const readMax = { bytes: 512 * 1024, lines: 20_000, dashLines: 1_000 };
const charsMax = { subject: 998, text: 20_000, html: 60_000 };

/**
 * Reads the structure of a message (RFC 5322, RFC 2045). Looks at its first 512 KB, 20,000 lines and 1,000 lines that
 * could divide parts. Messages inside the message stay parts. `undefined` when nesting or headers exceed any reason;
 * never throws for what the bytes say.
 */
export function readMessage(bytes: Uint8Array): Message | undefined {
  const byteText = withLineFeeds(toByteText(frontOf(bytes, readMax)));
  const structure = readStructure(byteText);
  if (structure === undefined) return undefined;
  const { headers, leaves } = structure;
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

/** The first value of a header. `name` in lower case. */
export function header(message: Message, name: string): string | undefined {
  return message.headers.find((one) => one.name === name)?.value;
}
