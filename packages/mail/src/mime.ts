/**
 * The structure of a message (RFC 5322, RFC 2045, RFC 2046) as mail systems really send it: any line ending, boundaries
 * that are missing or never closed, eight bits where seven are due. Works on "byte text": a string with one character
 * (U+0000 to U+00FF) for each byte, which costs a copy and makes every search a native one.
 */
import { decodeTransfer } from "./encodings.ts";

/** The name in lower case; the value unfolded (RFC 5322 §2.2.3), otherwise as it came. */
export type Header = { name: string; value: string };

/** A part without parts. Messages inside the message are leaves, too. */
export type Leaf = {
  /** The media type in lower case. */
  type: string;
  charset?: string;
  /** The file name, if it has one. */
  name?: string;
  isAttachment: boolean;
  /** By what pages name the part (RFC 2392), without its brackets. */
  contentId?: string;
  /** Byte text with the transfer encoding undone. */
  body: string;
};

export type Structure = { headers: readonly Header[]; leaves: readonly Leaf[] };

const max = { depth: 20, headerChars: 128 * 1024, headers: 2_000, leaves: 500 };

/** `undefined` when nesting or headers exceed any reason. */
export function readStructure(byteText: string): Structure | undefined {
  const top = readHeaders(byteText, 0, byteText.length);
  if (top === undefined) return undefined;
  const leaves: Leaf[] = [];
  const isBounded = readBody(top.headers, byteText.slice(top.bodyAt), leaves, 0);
  return isBounded ? { headers: top.headers, leaves } : undefined;
}

/** The header of a message inside a message, from its front. */
export function readHeaderLines(byteText: string): readonly Header[] {
  const front = byteText.slice(0, max.headerChars - 1).trimStart();
  return readHeaders(front, 0, front.length)?.headers ?? [];
}

const fieldLine = /^([!-9;-~]{1,100})[ \t]*:/;

function readHeaders(
  text: string,
  start: number,
  end: number,
): { headers: Header[]; bodyAt: number } | undefined {
  const headers: Header[] = [];
  let last: Header | undefined;
  let at = start;
  while (at < end) {
    const lineFeed = text.indexOf("\n", at);
    const lineEnd = lineFeed === -1 || lineFeed > end ? end : lineFeed;
    const line = text.slice(at, text.charCodeAt(lineEnd - 1) === 13 && lineEnd > at ? lineEnd - 1 : lineEnd);
    at = lineEnd + 1;
    if (line === "") break;
    if (at - start > max.headerChars || headers.length > max.headers) return undefined;
    const first = line.charCodeAt(0);
    if (first === 32 || first === 9) {
      if (last !== undefined) last.value += ` ${line.trim()}`;
      continue;
    }
    const name = fieldLine.exec(line)?.[1];
    // The line of a mailbox file ("From ann@example.com Sat ...") and other debris between the fields.
    if (name === undefined) continue;
    last = { name: name.toLowerCase(), value: line.slice(line.indexOf(":") + 1).trim() };
    headers.push(last);
  }
  return { headers, bodyAt: Math.min(at, end) };
}

const fieldValue = (headers: readonly Header[], name: string) =>
  headers.find((header) => header.name === name)?.value ?? "";

/** False when there is too much of it to go on. */
function readBody(headers: readonly Header[], body: string, leaves: Leaf[], depth: number): boolean {
  if (depth > max.depth) return false;
  const contentType = fieldValue(headers, "content-type");
  const type = /^\s*([\w.+-]{1,60}\/[\w.+-]{1,100})/.exec(contentType)?.[1]?.toLowerCase() ?? "text/plain";
  if (type.startsWith("multipart/")) {
    const boundary = parameter(contentType, "boundary") ?? firstBoundary(body);
    const sections = boundary === undefined ? [] : split(body, boundary);
    for (const section of sections) {
      const part = readHeaders(section, 0, section.length);
      if (part === undefined || !readBody(part.headers, section.slice(part.bodyAt), leaves, depth + 1))
        return false;
    }
    // A multipart without parts is read as the text that it must have been.
    if (sections.length > 0) return true;
  }
  if (leaves.length >= max.leaves) return true;
  const disposition = fieldValue(headers, "content-disposition");
  const charset = parameter(contentType, "charset");
  const name = parameter(disposition, "filename") ?? parameter(contentType, "name");
  const contentId = /^<?([^<>\s]{1,300})>?$/.exec(fieldValue(headers, "content-id"))?.[1];
  leaves.push({
    type: type.startsWith("multipart/") ? "text/plain" : type,
    ...(charset === undefined ? {} : { charset }),
    ...(name === undefined ? {} : { name }),
    isAttachment: /^\s*attachment/i.test(disposition),
    ...(contentId === undefined ? {} : { contentId }),
    body: decodeTransfer(body, fieldValue(headers, "content-transfer-encoding")),
  });
  return true;
}

/** The texts between the lines `--boundary`. An unclosed last one ends with the text. */
function split(body: string, boundary: string): string[] {
  const delimiter = `--${boundary}`;
  const sections: string[] = [];
  let from = -1;
  for (let at = body.indexOf(delimiter); at !== -1; at = body.indexOf(delimiter, at + delimiter.length)) {
    if (at > 0 && body.charCodeAt(at - 1) !== 10) continue;
    const after = body.slice(at + delimiter.length, at + delimiter.length + 2);
    const isLast = after === "--";
    // `--ab` is not the boundary `a`.
    if (!isLast && after !== "" && !/^[\s]/.test(after)) continue;
    if (from !== -1) sections.push(body.slice(from, Math.max(from, lineEndBefore(body, at))));
    if (sections.length >= max.leaves || isLast) return sections;
    const lineFeed = body.indexOf("\n", at);
    from = lineFeed === -1 ? body.length : lineFeed + 1;
  }
  if (from !== -1 && from < body.length) sections.push(body.slice(from));
  return sections;
}

/** The line end before a delimiter belongs to it, not to the part (RFC 2046 §5.1.1). */
function lineEndBefore(body: string, at: number): number {
  if (at === 0) return at;
  return body.charCodeAt(at - 2) === 13 ? at - 2 : at - 1;
}

/** For a multipart that does not name its boundary: the first line that can be one. */
function firstBoundary(body: string): string | undefined {
  const [, boundary] = /^--(?=\S)([^\r\n]{1,100}?)[ \t]*\r?\nContent-/im.exec(body.slice(0, 20_000)) ?? [];
  return boundary;
}

/** A parameter of a structured field (RFC 2045 §5.1), joined from its pieces where RFC 2231 cut it. */
export function parameter(field: string, name: string): string | undefined {
  const at = field.toLowerCase().indexOf(name);
  if (at === -1) return undefined;
  const front = field.slice(0, 4_000);
  const plain = new RegExp(
    `[;\\s]${name}\\s{0,10}=\\s{0,10}(?:"((?:[^"\\\\]|\\\\.){0,1000})"?|([^\\s;"]{1,1000}))`,
    "i",
  ).exec(` ${front}`);
  if (plain !== null) return (plain[1] ?? plain[2] ?? "").replace(/\\(.)/g, "$1").trim() || undefined;
  const pieces = [
    ...front.matchAll(
      new RegExp(
        `[;\\s]${name}\\*(?:\\d{1,2}\\*?)?\\s{0,10}=\\s{0,10}(?:"([^"]{0,1000})"|([^\\s;]{1,1000}))`,
        "gi",
      ),
    ),
  ].map((match) => match[1] ?? match[2] ?? "");
  if (pieces.length === 0) return undefined;
  const joined = pieces.join("").replace(/^[\w-]{0,30}'[\w-]{0,30}'/, "");
  try {
    return decodeURIComponent(joined);
  } catch {
    // Not UTF-8: shown as it came.
    return joined;
  }
}
