/** Line ends and the relaxed forms of RFC 6376 §3.4, in one pass over the bytes each: no input makes them slow. */

const CR = 13;
const LF = 10;
const SPACE = 32;
const TAB = 9;

/**
 * The message with CRLF for every bare CR and bare LF, as it goes on the wire (RFC 5321 §2.3.8). Signing has to see
 * these bytes, not those that came in. Returns its argument when there is nothing to do.
 */
export function withCrlf(bytes: Buffer): Buffer {
  let missing = 0;
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i];
    if (byte === CR && bytes[i + 1] !== LF) missing++;
    if (byte === LF && bytes[i - 1] !== CR) missing++;
  }
  if (missing === 0) return bytes;
  const out = Buffer.allocUnsafe(bytes.length + missing);
  let end = 0;
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i] ?? 0;
    if (byte === LF && bytes[i - 1] !== CR) out[end++] = CR;
    out[end++] = byte;
    if (byte === CR && bytes[i + 1] !== LF) out[end++] = LF;
  }
  return out;
}

/** Where the body begins: behind the empty line, or at the end when there is none. `bytes` has CRLF line ends. */
export function bodyStart(bytes: Buffer): number {
  if (bytes[0] === CR && bytes[1] === LF) return 2;
  const at = bytes.indexOf("\r\n\r\n");
  return at === -1 ? bytes.length : at + 4;
}

/** RFC 6376 §3.4.4. `body` has CRLF line ends. */
export function relaxedBody(body: Buffer): Buffer {
  return hasNoSpaceToReduce(body) ? withOneEnd(body) : reduced(body);
}

/** Most bodies need nothing but a look at their end, and four searches are faster than a loop. */
const hasNoSpaceToReduce = (body: Buffer) =>
  !body.includes(TAB) && !body.includes("  ") && !body.includes(" \r\n") && body.at(-1) !== SPACE;

/** Ends with one CRLF, or is empty. */
function withOneEnd(body: Buffer): Buffer {
  let end = body.length;
  while (end >= 2 && body[end - 2] === CR && body[end - 1] === LF) end -= 2;
  if (end === 0) return Buffer.alloc(0);
  return end < body.length ? body.subarray(0, end + 2) : Buffer.concat([body, Buffer.from("\r\n")]);
}

function reduced(body: Buffer): Buffer {
  const out = Buffer.allocUnsafe(body.length + 2);
  let end = 0;
  let lineEnds = 0;
  let hasSpace = false;
  for (let i = 0; i < body.length; i++) {
    const byte = body[i] ?? 0;
    if (byte === CR && body[i + 1] === LF) {
      lineEnds++;
      hasSpace = false;
      i++;
    } else if (byte === SPACE || byte === TAB) {
      hasSpace = true;
    } else {
      // Line ends are held back until something follows, so those at the end of the body fall away.
      for (; lineEnds > 0; lineEnds--) {
        out[end++] = CR;
        out[end++] = LF;
      }
      if (hasSpace) out[end++] = SPACE;
      hasSpace = false;
      out[end++] = byte;
    }
  }
  if (end === 0) return Buffer.alloc(0);
  out[end++] = CR;
  out[end++] = LF;
  return out.subarray(0, end);
}

/** One header field: its name in lower case and its whole text without the final line end, one character per byte. */
export type Field = { name: string; text: string };

/** The header fields in order. Lines before the first name, and lines without a colon, belong to no field. */
export function headerFields(header: Buffer): Field[] {
  const fields: Field[] = [];
  const all = header.toString("latin1");
  let start = 0;
  while (start < all.length) {
    let end = all.indexOf("\r\n", start);
    while (end !== -1 && isBlank(all.charCodeAt(end + 2))) end = all.indexOf("\r\n", end + 2);
    const stop = end === -1 ? all.length : end;
    const colon = all.indexOf(":", start);
    if (colon > start && colon < stop)
      fields.push({
        name: all.slice(start, colon).trim().toLowerCase(),
        text: all.slice(start, stop),
      });
    start = stop + 2;
  }
  return fields;
}

const isBlank = (code: number) => code === SPACE || code === TAB;

/** RFC 6376 §3.4.2, without the final line end. */
export function relaxedField({ name, text }: Field): string {
  let from = text.indexOf(":") + 1;
  let to = text.length;
  // Not trim(), which takes A0 too: in UTF-8 that is the second half of a letter.
  while (from < to && isSpace(text.charCodeAt(from))) from++;
  while (to > from && isSpace(text.charCodeAt(to - 1))) to--;
  const value = text.slice(from, to);
  // Most fields stand on one line, and their words one space apart.
  return `${name}:${hasSpaceToReduce(value) ? value.replaceAll("\r\n", "").replace(/[ \t]+/g, " ") : value}`;
}

const isSpace = (code: number) => isBlank(code) || code === CR || code === LF;
const hasSpaceToReduce = (value: string) =>
  value.includes("  ") || value.includes("\t") || value.includes("\r\n");
