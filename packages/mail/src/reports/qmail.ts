import type { RecipientFields } from "../report.ts";
import type { Format } from "./format.ts";

const opening =
  /^(?:Hi\. )?This is the (?:(?:qmail-send|mail ?delivery|deliver|[^\n]{0,40}mail) (?:program|agent)|[^\n]{1,80}) at ([^\s]{1,253})(?:\.|[^\n]{0,40}\.)\s*$|^I'm afraid I wasn't able to deliver your message to the following/im;
const greeting =
  /^(?:Hi\. This is the|Hi there!|I'm afraid I wasn't able|Your message could not be delivered)/im;
const closing = /^-{3} ?(?:Below|Enclosed|Mensaje|Im Anschluss|The header|Copy)/im;
const paragraphsMax = 100;

/**
 * qmail's own format (QSBMF) and its descendants: a paragraph for each recipient, opened by `<address>:`. It has no
 * fields; the remote's reply stands behind `Remote host said:`, and a status may stand last as `(#5.1.1)`.
 */
export const qmail: Format = ({ text }) => {
  const start = opening.exec(text) ?? greeting.exec(text);
  if (start === null) return undefined;
  const body = text.slice(start.index).split(closing, 1)[0] ?? "";
  const recipients: RecipientFields[] = [];
  for (const paragraph of body.split(/\n[ \t]*\n/, paragraphsMax)) {
    const found = readParagraph(paragraph);
    const last = recipients.at(-1);
    if (found !== undefined) recipients.push(found);
    // A reply may hold empty lines of its own.
    else if (last !== undefined) last.diagnostic = `${last.diagnostic}\n${paragraph}`.slice(0, 4_000);
  }
  if (recipients.length === 0) return undefined;
  return { software: "qmail", ...(start[1] === undefined ? {} : { reportingMta: start[1] }), recipients };
};

function readParagraph(paragraph: string): RecipientFields | undefined {
  const [, address, words] =
    /(?:^|\n)[ \t]*<([^<>\s]{1,320})>:?[ \t]*(?=\n|\S)([\s\S]*)$/.exec(paragraph) ?? [];
  if (address === undefined || words === undefined) return undefined;
  const said =
    /(?:Remote host said|failed after I sent the message\.\s*Remote host said): ([\s\S]*?)(?:\nGiving up on|$)/.exec(
      words,
    )?.[1];
  const status = /\(#([245]\.\d{1,3}\.\d{1,3})\)/.exec(words)?.[1];
  return {
    finalRecipient: address,
    // A paragraph exists only for what failed; qmail sends no warnings.
    action: "failed",
    ...(status === undefined ? {} : { status }),
    diagnostic: said === undefined ? `x-qmail; ${words}` : `smtp; ${said}`,
  };
}
