import type { RecipientFields } from "../report.ts";
import type { Format } from "./format.ts";

const opening = /^Hi\. This is the (?:qmail-send program|[^\n]{1,80}) at ([^\s]{1,253})\.\s*$/m;
const closing = /^--- (?:Below this line|Enclosed)/m;
const paragraphsMax = 100;

/**
 * qmail's own format (QSBMF): a paragraph for each recipient, opened by `<address>:`. It has no fields; the remote's
 * reply stands behind `Remote host said:`, and a status may stand last as `(#5.1.1)`.
 */
export const qmail: Format = (message) => {
  const start = opening.exec(message.text);
  if (start === null) return undefined;
  const body = message.text.slice(start.index).split(closing, 1)[0] ?? "";
  const recipients = body
    .split(/\r?\n\r?\n/, paragraphsMax)
    .map(readParagraph)
    .filter((fields) => fields !== undefined);
  return { ...(start[1] === undefined ? {} : { reportingMta: start[1] }), recipients };
};

function readParagraph(paragraph: string): RecipientFields | undefined {
  const [, address, words] = /^\s*<([^<>\s]{1,320})>:\s*(.*)$/s.exec(paragraph) ?? [];
  if (address === undefined || words === undefined) return undefined;
  const said = /Remote host said: (.*?)(?:\nGiving up on|$)/s.exec(words)?.[1];
  const status = /\(#([245]\.\d{1,3}\.\d{1,3})\)/.exec(words)?.[1];
  return {
    finalRecipient: address,
    // A paragraph exists only for what failed; qmail sends no warnings.
    action: "failed",
    ...(status === undefined ? {} : { status }),
    diagnostic: said === undefined ? `x-qmail; ${words}` : `smtp; ${said}`,
  };
}
