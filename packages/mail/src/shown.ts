/** Fields and parts of a message as people read them. */
import { decodeCharset, decodeWords } from "./encodings.ts";
import type { Leaf } from "./mime.ts";

const charsMax = { from: 500, mailbox: 2_000 };

/** Whether a part is text to read, not a file. */
export const isText = (leaf: Leaf, type: string) => leaf.type === type && !leaf.isAttachment;

/** The text of several parts as one, lines ending with \n. */
export function joined(leaves: readonly Leaf[], charsLimit: number): string {
  return leaves
    .map(({ body, charset }) => decodeCharset(body.slice(0, 2 * charsLimit), charset))
    .join("\n")
    .replaceAll("\r\n", "\n")
    .slice(0, charsLimit);
}

/** Some gateways end lines with a bare CR. */
export const withLineFeeds = (byteText: string) =>
  byteText.includes("\n") ? byteText : byteText.replaceAll("\r", "\n");

/** `"Name" <name@example.com>`, `name@example.com (Name)` or what else stands in a From field, as people read it. */
export function shownMailbox(field: string | undefined): string | undefined {
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

export function oneLine(text: string, chars: number): string {
  return text
    .replace(/\p{Cc}+/gu, " ")
    .trim()
    .slice(0, chars);
}
