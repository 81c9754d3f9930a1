import { brotliDecompressSync, gunzipSync } from "node:zlib";
import type { z } from "zod";
import { z as zod } from "zod";
import { HttpProblem } from "./problem.ts";

const JSON_BYTES_MAX = 64 * 1024 * 1024;

/** The body piece by piece, of which there may not be more than `bytesMax`. Throws HttpProblem 413. */
export async function* bodyChunks(request: Request, bytesMax: number): AsyncGenerator<Uint8Array> {
  refuseTooLarge(Number(request.headers.get("content-length") ?? 0), bytesMax);
  let bytes = 0;
  for await (const chunk of request.body ?? []) {
    bytes += chunk.byteLength;
    refuseTooLarge(bytes, bytesMax);
    yield chunk;
  }
}

/** The whole body, with the same limit. */
export async function readBody(request: Request, bytesMax: number): Promise<Uint8Array<ArrayBuffer>> {
  const stated = request.headers.get("content-length");
  if (stated !== null) {
    // A stated length is what arrives, so the whole can be taken at once.
    refuseTooLarge(Number(stated), bytesMax);
    return await request.bytes();
  }
  const chunks: Uint8Array[] = [];
  for await (const chunk of bodyChunks(request, bytesMax)) chunks.push(chunk);
  return new Uint8Array(Buffer.concat(chunks));
}

function refuseTooLarge(bytes: number, bytesMax: number): void {
  if (bytes > bytesMax)
    throw new HttpProblem(413, "PayloadTooLarge", `The body is larger than ${bytesMax} bytes`);
}

/** A JSON body in its expected shape; brotli and gzip are understood. Throws HttpProblem. */
export async function readJson<Shape extends z.ZodType>(
  request: Request,
  shape: Shape,
): Promise<z.infer<Shape>> {
  return parseShape(await readAnyJson(request), shape);
}

/** A JSON body of any shape. Throws HttpProblem. */
export async function readAnyJson(request: Request): Promise<unknown> {
  const encoding = request.headers.get("content-encoding");
  const text =
    encoding === null
      ? await readText(request, JSON_BYTES_MAX)
      : Buffer.from(decompress(await readBody(request, JSON_BYTES_MAX), encoding)).toString();
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new HttpProblem(400, "InvalidJson", `The body is not JSON: ${(error as Error).message}`);
  }
}

/** Throws HttpProblem 400, which names what is wrong. */
export function parseShape<Shape extends z.ZodType>(json: unknown, shape: Shape): z.infer<Shape> {
  const parsed = shape.safeParse(json);
  if (!parsed.success) throw new HttpProblem(400, "InvalidBody", zod.prettifyError(parsed.error));
  return parsed.data;
}

async function readText(request: Request, bytesMax: number): Promise<string> {
  const stated = request.headers.get("content-length");
  if (stated === null) return Buffer.from(await readBody(request, bytesMax)).toString();
  refuseTooLarge(Number(stated), bytesMax);
  return await request.text();
}

function decompress(body: Uint8Array, encoding: string | null): Uint8Array {
  const limits = { maxOutputLength: JSON_BYTES_MAX };
  try {
    if (encoding === "br") return brotliDecompressSync(body, limits);
    if (encoding === "gzip") return gunzipSync(body, limits);
  } catch (error) {
    throw new HttpProblem(400, "InvalidEncoding", `The body is not ${encoding}: ${(error as Error).message}`);
  }
  return body;
}
