import type { Deployment } from "../deployment.ts";
import type { PreparedFile } from "../files/files.ts";
import { bodyChunks } from "./body.ts";
import { HttpProblem } from "./problem.ts";

export const FILE_BYTES_MAX = 1024 * 1024 * 1024;

/** POST /api/storage/upload: stores the body for a function's upload URL; `Digest: sha-256=…` is checked (RFC 3230). */
export async function upload(
  deployment: Deployment,
  request: Request,
  token: string | null,
): Promise<Response> {
  if (token === null) throw new HttpProblem(401, "StorageTokenInvalid", "The upload URL lacks its token");
  const { files, runner } = deployment;
  const component = files.checkUploadToken(token);
  const digest = /^sha-256=(.+)$/i.exec(request.headers.get("digest") ?? "")?.[1] ?? null;
  const writer = files.begin(request.headers.get("content-type"));
  let file: PreparedFile;
  try {
    for await (const chunk of bodyChunks(request, FILE_BYTES_MAX)) writer.write(chunk);
    file = writer.finish(digest);
  } catch (error) {
    writer.abort();
    throw error;
  }
  const storageId = await runner.transact((transaction) => files.add(transaction, component, file));
  return Response.json({ storageId });
}

/** GET and HEAD /api/storage/<uuid>: the bytes, or a range of them (RFC 9110 §14), or 304 when they are known (§13). */
export function download(deployment: Deployment, request: Request, uuid: string): Response {
  const found = deployment.files.byUuid(uuid);
  if (found === null) throw new HttpProblem(404, "FileNotFound", "There is no such file");
  const { file, blob } = found;
  // Content never changes under its URL.
  const etag = `"${file.sha256}"`;
  const headers = new Headers({
    "accept-ranges": "bytes",
    "cache-control": "private, max-age=2592000",
    "content-type": file.contentType ?? "application/octet-stream",
    digest: `sha-256=${Buffer.from(file.sha256, "hex").toString("base64")}`,
    etag,
    // A stored page must not run as one of ours.
    "content-security-policy": "default-src 'none'; sandbox",
    "x-content-type-options": "nosniff",
  });
  if (isKnown(request.headers.get("if-none-match"), etag))
    return new Response(null, { status: 304, headers });
  const isRangeOfThis = (request.headers.get("if-range") ?? etag) === etag;
  const range = isRangeOfThis ? parseRange(request.headers.get("range"), file.bytes) : null;
  if (range === "unsatisfiable") {
    headers.set("content-range", `bytes */${file.bytes}`);
    return new Response(null, { status: 416, headers });
  }
  const { start, end } = range ?? { start: 0, end: file.bytes };
  headers.set("content-length", String(end - start));
  if (range !== null) headers.set("content-range", `bytes ${start}-${end - 1}/${file.bytes}`);
  const body = request.method === "HEAD" ? null : blob.slice(start, end, headers.get("content-type") ?? "");
  return new Response(body, { status: range === null ? 200 : 206, headers });
}

const isKnown = (ifNoneMatch: string | null, etag: string): boolean =>
  ifNoneMatch?.split(",").some((known) => ["*", etag].includes(known.trim().replace(/^W\//, ""))) ?? false;

/** One byte range, `end` not included; null when the header is absent, malformed or asks for several, or nothing is there. */
export function parseRange(
  header: string | null,
  bytes: number,
): { start: number; end: number } | "unsatisfiable" | null {
  const match = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header?.trim() ?? "");
  if (match === null) return null;
  const [, from = "", to = ""] = match;
  if ((from === "" && to === "") || bytes === 0) return null;
  if (from === "") {
    const start = Math.max(bytes - Number(to), 0);
    return Number(to) === 0 ? "unsatisfiable" : { start, end: bytes };
  }
  const start = Number(from);
  const end = to === "" ? bytes : Math.min(Number(to) + 1, bytes);
  if (start >= bytes) return "unsatisfiable";
  return end <= start ? null : { start, end };
}
