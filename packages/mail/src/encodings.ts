/** Transfer encodings (RFC 2045 §6), charsets and encoded words (RFC 2047), all lenient. Byte text: one character for each byte. */

export const toByteText = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");

export const fromByteText = (byteText: string): Uint8Array => new Uint8Array(Buffer.from(byteText, "latin1"));

/** Undoes quoted-printable and base64; other encodings change nothing. */
export function decodeTransfer(byteText: string, encoding: string): string {
  const name = encoding.trim().toLowerCase();
  if (name.startsWith("quoted-printable")) return decodeQuotedPrintable(byteText);
  if (!name.startsWith("base64")) return byteText;
  const decoded = Buffer.from(byteText, "base64").toString("latin1");
  // Text that only claims to be base64 has spaces inside its lines.
  return /\S \S/.test(byteText.slice(0, 200)) ? byteText : decoded;
}

/** A byte at a time: an attachment of 36 MB may be full of escapes, and a search for each would take seconds. */
function decodeQuotedPrintable(byteText: string): string {
  if (!byteText.includes("=")) return byteText;
  const bytes = Buffer.from(byteText, "latin1");
  let length = 0;
  for (let at = 0; at < bytes.length; at++) {
    let byte = bytes[at] ?? 0;
    if (byte === 0x3d) {
      const high = hexDigit(bytes[at + 1]);
      const low = hexDigit(bytes[at + 2]);
      const softBreak = high < 0 || low < 0 ? softBreakEnd(bytes, at + 1) : -1;
      if (softBreak !== -1) {
        at = softBreak;
        continue;
      }
      if (high >= 0 && low >= 0) {
        byte = high * 16 + low;
        at += 2;
      }
    }
    bytes[length++] = byte;
  }
  return bytes.toString("latin1", 0, length);
}

/** -1 for anything else. */
function hexDigit(byte = 0): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const letter = byte & 0xdf;
  return letter >= 0x41 && letter <= 0x46 ? letter - 0x37 : -1;
}

/** Where the line ends if nothing but white space, of 80 characters at most, is left of it; -1 if something is. */
function softBreakEnd(bytes: Uint8Array, from: number): number {
  let at = from;
  while (at < from + 80 && (bytes[at] === 0x20 || bytes[at] === 0x09)) at++;
  if (bytes[at] === 0x0d) at++;
  return bytes[at] === 0x0a ? at : -1;
}

const eightBits = /[\x80-\xff]/;
const escapeCode = "\x1b";
const utf8 = new TextDecoder("utf-8", { fatal: true });
const western = new TextDecoder("windows-1252");
const japanese = new TextDecoder("iso-2022-jp");
const decoders = new Map<string, TextDecoder | undefined>();
const decodersMax = 100;

/** Byte text as Unicode. A charset that is unknown, missing or wrong is guessed: UTF-8 if it fits, else windows-1252. */
export function decodeCharset(byteText: string, charset: string | undefined): string {
  if (byteText.includes(`${escapeCode}$`)) return japanese.decode(fromByteText(byteText));
  if (!eightBits.test(byteText)) return byteText;
  const bytes = fromByteText(byteText);
  const decoder = charset === undefined ? undefined : decoderOf(charset.toLowerCase());
  if (decoder !== undefined && decoder.encoding !== "utf-8") return decoder.decode(bytes);
  try {
    return utf8.decode(bytes);
  } catch {
    // Not UTF-8, whatever it claims.
    return western.decode(bytes);
  }
}

function decoderOf(charset: string): TextDecoder | undefined {
  if (decoders.has(charset)) return decoders.get(charset);
  const decoder = newDecoder(charset);
  if (decoders.size < decodersMax) decoders.set(charset, decoder);
  return decoder;
}

function newDecoder(charset: string): TextDecoder | undefined {
  try {
    return new TextDecoder(charset);
  } catch {
    // A name that nobody knows (RangeError): the text is guessed.
    return undefined;
  }
}

const encodedWords = /(?:=\?[^?\s]{1,40}\?[bq]\?[^?\r\n]{0,400}\?=[ \t]*)+/gi;
const encodedWord = /=\?([^?\s]{1,40})\?([bq])\?([^?\r\n]{0,400})\?=/gi;

/**
 * A header value as people read it. Neighbouring words of one charset are joined before they are decoded: many senders
 * cut between the bytes of a character.
 */
export function decodeWords(value: string): string {
  if (!value.includes("=?")) return decodeCharset(value, undefined);
  const decoded = value.slice(0, 8_000).replace(encodedWords, (run) => {
    let text = "";
    let charset: string | undefined;
    let bytes = "";
    for (const [, name = "", kind = "", body = ""] of run.matchAll(encodedWord)) {
      const [bare = ""] = name.toLowerCase().split("*", 1);
      if (charset !== undefined && bare !== charset) {
        text += decodeCharset(bytes, charset);
        bytes = "";
      }
      charset = bare;
      bytes +=
        kind.toLowerCase() === "b"
          ? Buffer.from(body, "base64").toString("latin1")
          : decodeQuotedPrintable(body.replaceAll("_", " "));
    }
    return text + decodeCharset(bytes, charset) + (/[ \t]$/.test(run) ? " " : "");
  });
  return eightBits.test(value) ? decodeCharset(value, undefined) : decoded;
}
