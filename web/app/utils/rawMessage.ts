/** What the reader shows of a raw message: its front. Everything else is behind the download. */
export const rawShownBytesMax = 262_144;

/** The path on our own origin of a file in Convex, whose own origin a browser need not reach. */
export const rawPath = (rawUrl: string): string => `/convex${new URL(rawUrl, "http://convex").pathname}`;

/**
 * The front of a raw message as text. Bytes that are not UTF-8 are shown as Latin-1, so that nothing is hidden; control
 * characters and those that turn the direction of writing are shown by their number.
 */
export function rawText(bytes: Uint8Array): { text: string; isCut: boolean } {
  const front = bytes.subarray(0, rawShownBytesMax);
  const isCut = bytes.length > front.length;
  let text: string;
  try {
    // A cut in the middle of a character is no reason to call the rest Latin-1.
    text = new TextDecoder("utf-8", { fatal: true }).decode(front, { stream: isCut });
  } catch {
    // Thrown for nothing but bytes that are no UTF-8.
    text = new TextDecoder("latin1").decode(front);
  }
  return { text: visible(text.replaceAll("\r\n", "\n")), isCut };
}

/** Controls and formatting characters of any kind, line ends and tabs left alone. */
const invisible = /(?![\n\t])[\p{Cc}\p{Cf}]/gu;
const visible = (text: string) =>
  text.replace(
    invisible,
    (character) => `<${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(2, "0")}>`,
  );
