import { header, type Message } from "../message.ts";
import type { RecipientFields } from "../report.ts";
import { type Body, isWarning } from "./body.ts";
import type { Format } from "./format.ts";

/**
 * A format in which lines of text open recipients and other lines say why: most software that does not follow RFC 3464.
 * Patterns see one line each.
 */
export type Listing = {
  software: string;
  /** The message is of this software. */
  sign(message: Message, body: Body): boolean;
  /** The first line to read; without it the text is read from the beginning. */
  begin?: RegExp;
  /** The line that ends the list, once it has an entry. */
  end?: RegExp;
  /** Opens a recipient. Groups: `address`, and `words` where the reason stands on the same line. */
  opens: RegExp;
  /** Lines that say nothing about anybody. */
  ignores?: RegExp;
  /** Where the reason stands when the lines of a recipient hold none: before the list, or in any text of the report. */
  action?: "failed" | "delayed";
  reportingMta?: RegExp;
  /** Words that this software writes in its own way, made readable. */
  tidy?(words: string): string;
};

const recipientsMax = 100;
const wordsCharsMax = 4_000;

export const listing =
  (format: Listing): Format =>
  (message, body) => {
    if (!format.sign(message, body)) return undefined;
    const entries = entriesOf(format, body);
    if (entries.size === 0) return undefined;
    const action = format.action ?? (isWarning(body, message.subject) ? "delayed" : "failed");
    const tidy = format.tidy ?? ((words: string) => words);
    // A list of addresses with the reason behind the last, or before the first.
    const ownWords = [...entries.values()].filter(hasWords);
    const shared = ownWords.length > 0 ? ownWords : [[body.said]];
    const recipients = [...entries].map(([address, lines]): RecipientFields => {
      const words = hasWords(lines) ? lines : (shared.at(-1) ?? []);
      return {
        finalRecipient: address,
        action,
        diagnostic: tidy(words.join("\n").trim()).slice(0, wordsCharsMax),
        remark: body.said,
      };
    });
    const reportingMta = format.reportingMta?.exec(body.said)?.[1];
    return { software: format.software, ...(reportingMta === undefined ? {} : { reportingMta }), recipients };
  };

const hasWords = (lines: readonly string[]) => /[\p{L}]{3}/u.test(lines.join(" "));

function entriesOf({ begin, end, opens, ignores }: Listing, { lines }: Body): Map<string, string[]> {
  const entries = new Map<string, string[]>();
  let isInside = begin === undefined;
  let current: string[] | undefined;
  for (const line of lines) {
    if (!isInside) {
      if (begin?.test(line) !== true) continue;
      isInside = true;
    }
    if (current !== undefined && end?.test(line) === true) break;
    const { address, words } = opens.exec(line)?.groups ?? {};
    if (address !== undefined) {
      if (entries.size >= recipientsMax) break;
      current = entries.get(address) ?? [];
      entries.set(address, current);
      if (words !== undefined) current.push(words);
    } else if (current !== undefined && ignores?.test(line) !== true) current.push(line);
  }
  return entries;
}

export const fieldMatches = (message: Message, name: string, pattern: RegExp): boolean =>
  pattern.test(header(message, name) ?? "");

/** The source of a pattern for an address as it stands in a text; as the group `address`. */
export const address = String.raw`["'<(\[]{0,2}(?<address>[^\s<>()\[\]",;:@]{1,64}@[^\s<>()\[\]",;:@]{1,250}[^\s<>()\[\]",;:@.'])[>"')\]]{0,2}`;

/** A pattern for one line, in which case does not matter. */
export const line = (parts: TemplateStringsArray, ...values: string[]): RegExp =>
  new RegExp(String.raw(parts, ...values), "i");
