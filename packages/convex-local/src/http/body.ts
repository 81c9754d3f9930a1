import { brotliDecompressSync, gunzipSync } from "node:zlib";
import type { z } from "zod";
import { z as zod } from "zod";
import { HttpProblem } from "./problem.ts";

export const JSON_BYTES_MAX = 64 * 1024 * 1024;

/** The whole body, which may not be longer than `bytesMax`. Throws HttpProblem 413. */
export async function readBody(request: Request, bytesMax: number): Promise<Uint8Array<ArrayBuffer>> {
  const tooLarge = () => new HttpProblem(413, "PayloadTooLarge", `The body is larger than ${bytesMax} bytes`);
  const stated = request.headers.get("content-length");
  if (Number(stated ?? 0) > bytesMax) throw tooLarge();
  // A stated length is what arrives, so the whole can be taken at once.
  if (stated !== null) return await request.bytes();
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of request.body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > bytesMax) throw tooLarge();
    chunks.push(chunk);
  }
  return new Uint8Array(Buffer.concat(chunks));
}

/** A JSON body in its expected shape; brotli and gzip are understood. Throws HttpProblem. */
export async function readJson<Shape extends z.ZodType>(
  request: Request,
  shape: Shape,
): Promise<z.infer<Shape>> {
  const body = decompress(await readBody(request, JSON_BYTES_MAX), request.headers.get("content-encoding"));
  let json: unknown;
  try {
    json = JSON.parse(Buffer.from(body).toString());
  } catch (error) {
    throw new HttpProblem(400, "InvalidJson", `The body is not JSON: ${(error as Error).message}`);
  }
  const parsed = shape.safeParse(json);
  if (!parsed.success) throw new HttpProblem(400, "InvalidBody", zod.prettifyError(parsed.error));
  return parsed.data;
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
