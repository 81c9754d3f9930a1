import { HttpProblem } from "../http/problem.ts";
import { ChunkedBody } from "./chunks.ts";

/** Bun's own server takes 16 KiB; this leaves room for the line that the door adds. */
export const HEAD_BYTES_MAX = 15 * 1024;
const TARGET_BYTES_MAX = 12 * 1024;

export type RequestHead = {
  method: string;
  /** Path and query, as sent. */
  target: string;
  origin: string | null;
  /** The client wants no request after this one. */
  isLast: boolean;
  /** The request line with its CRLF, and everything after it up to the body. */
  line: Buffer;
  fields: Buffer;
};

export type Piece =
  | { type: "head"; head: RequestHead; isLast: boolean }
  | { type: "body"; bytes: Buffer; isLast: boolean };

/** Cuts what a client sends into requests (RFC 9112), as far as is needed to know where each begins and ends. */
export class RequestReader {
  #partial: Buffer | null = null;
  #body: { left: number } | ChunkedBody | null = null;

  /** Between requests, with nothing of the next. */
  get isIdle(): boolean {
    return this.#partial === null && this.#body === null;
  }

  get isInBody(): boolean {
    return this.#body !== null;
  }

  /** The next piece and what comes after it; null when more bytes are needed. Throws HttpProblem. */
  take(bytes: Buffer): { piece: Piece; rest: Buffer } | null {
    if (this.#body === null) return this.#takeHead(bytes);
    if (bytes.length === 0) return null;
    let taken: number;
    let isLast: boolean;
    if (this.#body instanceof ChunkedBody) {
      taken = this.#body.take(bytes);
      isLast = this.#body.isComplete;
    } else {
      taken = Math.min(this.#body.left, bytes.length);
      this.#body.left -= taken;
      isLast = this.#body.left === 0;
    }
    if (isLast) this.#body = null;
    return { piece: { type: "body", bytes: bytes.subarray(0, taken), isLast }, rest: bytes.subarray(taken) };
  }

  #takeHead(bytes: Buffer): { piece: Piece; rest: Buffer } | null {
    let all = this.#partial === null ? bytes : Buffer.concat([this.#partial, bytes]);
    // RFC 9112 §2.2: empty lines before a request are ignored.
    while (all.length >= 2 && all[0] === 13 && all[1] === 10) all = all.subarray(2);
    const end = all.indexOf("\r\n\r\n");
    if (end === -1 ? all.length > HEAD_BYTES_MAX : end > HEAD_BYTES_MAX) {
      throw new HttpProblem(431, "HeadTooLarge", `The head of a request may have ${HEAD_BYTES_MAX} bytes`);
    }
    if (end === -1) {
      this.#partial = all.length === 0 ? null : Buffer.from(all);
      return null;
    }
    this.#partial = null;
    const lineEnd = all.indexOf("\r\n") + 2;
    const head = parseHead(all.subarray(0, lineEnd), all.subarray(lineEnd, end + 4));
    const isLast = head.body === null;
    this.#body = head.body;
    return { piece: { type: "head", head: head.head, isLast }, rest: all.subarray(end + 4) };
  }
}

function parseHead(
  line: Buffer,
  fields: Buffer,
): { head: RequestHead; body: { left: number } | ChunkedBody | null } {
  const [, method, target, version] =
    /^([A-Za-z]{1,20}) (\S+) HTTP\/(\d\.\d)\r\n$/.exec(line.toString("latin1")) ?? [];
  if (method === undefined || target === undefined || version === undefined) {
    throw new HttpProblem(400, "BadRequestLine", "This is not an HTTP/1.1 request");
  }
  if (!version.startsWith("1.")) throw new HttpProblem(505, "BadVersion", "HTTP/1.1 is spoken here");
  if (target.length > TARGET_BYTES_MAX) {
    throw new HttpProblem(414, "TargetTooLong", `A path with its query may have ${TARGET_BYTES_MAX} bytes`);
  }
  if (!METHODS.has(method)) throw new HttpProblem(501, "BadMethod", `The method ${method} is not known here`);
  if (!target.startsWith("/")) throw new HttpProblem(400, "BadTarget", "A target begins with a slash");
  const {
    host: hosts,
    "content-length": lengths,
    "transfer-encoding": encodings,
    connection,
    origin: [origin = null],
  } = fieldsIn(`\r\n${fields.toString("latin1")}`);
  // RFC 9112 §3.2; the engine makes its URLs of it.
  if (hosts.length !== 1 || !/^[\w.-]+(?::\d{1,5})?$|^\[[\da-f:.]+\](?::\d{1,5})?$/i.test(hosts[0] ?? "")) {
    throw new HttpProblem(400, "BadHost", "A request names one host");
  }
  const isLast = version === "1.0" || connection.some((value) => /\bclose\b/i.test(value));
  const head = { method, target, origin, isLast, line, fields };
  if (encodings.length > 0) {
    // RFC 9112 §6.1: both at once is how requests are smuggled.
    if (lengths.length > 0)
      throw new HttpProblem(400, "BadLength", "Content-Length and Transfer-Encoding exclude each other");
    if (encodings.length > 1 || encodings[0]?.toLowerCase() !== "chunked") {
      throw new HttpProblem(501, "BadEncoding", "The only transfer encoding is chunked");
    }
    return { head, body: new ChunkedBody() };
  }
  const [length] = lengths;
  if (length === undefined) return { head, body: null };
  if (lengths.length > 1 || !/^\d{1,15}$/.test(length))
    throw new HttpProblem(400, "BadLength", "The Content-Length is wrong");
  const left = Number(length);
  return { head, body: left === 0 ? null : { left } };
}

const METHODS = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);

type Field = "host" | "content-length" | "transfer-encoding" | "connection" | "origin";
const FIELDS = /\r\n(host|content-length|transfer-encoding|connection|origin)[ \t]*:[ \t]*([^\r\n]*)/gi;

/** The values of the fields that matter here, in one look at the head. */
function fieldsIn(text: string): Record<Field, string[]> {
  const found: Record<Field, string[]> = {
    host: [],
    "content-length": [],
    "transfer-encoding": [],
    connection: [],
    origin: [],
  };
  for (const [, name = "", value = ""] of text.matchAll(FIELDS)) {
    found[name.toLowerCase() as Field].push(value.trim());
  }
  return found;
}
