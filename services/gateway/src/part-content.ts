/**
 * The content of a part: a text as it is where 7-bit paths keep it, else quoted-printable or base64; files are base64. Each
 * character is looked at once or twice: patterns over texts of 20 KB were a third of the gateway's time.
 */
import { encode, wrap } from "nodemailer/lib/qp";

/** `bytes` are without the line end that follows them. */
export type PartContent = { encoding: "7bit" | "quoted-printable" | "base64"; bytes: Uint8Array };

/** RFC 2045 §6.8: an encoded line has at most 76 characters. */
const lineCharsMax = 76;
/** A longer text is encoded without a look at its lines. */
const plainCharsMax = 131_072;

const tab = 9;
const lineFeed = 10;
const carriageReturn = 13;
const space = 32;
const asciiMax = 127;

/** The text with CRLF line ends, encoded where it has to be. */
export function textPart(text: string): PartContent {
  const lines = withCrlf(text);
  if (isPlain(lines)) return { encoding: "7bit", bytes: Buffer.from(lines, "latin1") };
  if (isMostlyLatin(lines))
    return { encoding: "quoted-printable", bytes: Buffer.from(wrap(encode(lines), lineCharsMax), "latin1") };
  return filePart(Buffer.from(lines).toString("base64"));
}

/** A file that is given in base64. */
export const filePart = (base64: string): PartContent => ({ encoding: "base64", bytes: inLines(base64) });

/** ASCII without control characters, in lines that no server breaks. Its line ends are CRLF. */
function isPlain(text: string): boolean {
  if (text.length > plainCharsMax) return false;
  let lineStart = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code > asciiMax) return false;
    if (code >= space || code === tab) continue;
    if (code === lineFeed) lineStart = at + 1;
    else if (code !== carriageReturn || at - lineStart > lineCharsMax) return false;
  }
  return text.length - lineStart <= lineCharsMax;
}

/** More letters of a to z than characters that would have to be encoded: then quoted-printable is shorter, and can be read. */
function isMostlyLatin(text: string): boolean {
  let letters = 0;
  let encoded = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    const lowered = code | space;
    if (lowered >= 97 && lowered <= 122 && code <= asciiMax) letters++;
    else if (code > asciiMax || (code < space && !isBlank(code))) encoded++;
  }
  return encoded < letters;
}

const isBlank = (code: number) => code === tab || code === lineFeed || code === carriageReturn;

function withCrlf(text: string): string {
  if (!text.includes("\r")) return text.includes("\n") ? text.replaceAll("\n", "\r\n") : text;
  return hasCrlfOnly(text) ? text : text.replace(/\r\n?|\n/g, "\r\n");
}

function hasCrlfOnly(text: string): boolean {
  let start = 0;
  for (let end = text.indexOf("\r"); end !== -1; end = text.indexOf("\r", start)) {
    if (text.indexOf("\n", start) !== end + 1) return false;
    start = end + 2;
  }
  return !text.includes("\n", start);
}

/** Lines of base64. */
function inLines(text: string): Uint8Array {
  const source = Buffer.from(text, "latin1");
  const lineCount = Math.max(1, Math.ceil(source.length / lineCharsMax));
  const wrapped = Buffer.allocUnsafe(source.length + 2 * (lineCount - 1));
  let place = 0;
  for (let start = 0; start < source.length; start += lineCharsMax) {
    if (start > 0) {
      wrapped[place++] = carriageReturn;
      wrapped[place++] = lineFeed;
    }
    place += source.copy(wrapped, place, start, start + lineCharsMax);
  }
  return wrapped;
}
