/** The dashboard's files, held in memory, with a content policy that admits exactly the scripts of the page. */
import { Glob } from "bun";

/** The built dashboard has about 2 MB; more than this is a wrong folder. */
const filesBytesMax = 64 * 1_048_576;
const compressible = /^(text\/|application\/(json|javascript|xml|manifest\+json)|image\/svg)/;

export type StaticFile = {
  bytes: Uint8Array;
  gzip: Uint8Array | undefined;
  type: string;
  etag: string;
};

export function staticFile(bytes: Uint8Array, type: string): StaticFile {
  return {
    bytes,
    gzip: compressible.test(type) ? Bun.gzipSync(new Uint8Array(bytes)) : undefined,
    type,
    etag: `"${new Bun.CryptoHasher("sha256").update(bytes).digest("base64url").slice(0, 22)}"`,
  };
}

/** A file that lies here compressed. */
export const zippedFile = (gzip: Uint8Array<ArrayBuffer>, type: string): StaticFile => ({
  ...staticFile(Bun.gunzipSync(gzip), "application/octet-stream"),
  gzip,
  type,
});

/** Answers with the file as the client can take it; 304 when it has it already. */
export function serveFile(request: Request, file: StaticFile, headers: Record<string, string>): Response {
  const shared = { ...headers, etag: file.etag, vary: "Accept-Encoding" };
  if (request.headers.get("if-none-match") === file.etag)
    return new Response(null, { status: 304, headers: shared });
  const zipped = /\bgzip\b/.test(request.headers.get("accept-encoding") ?? "") ? file.gzip : undefined;
  return new Response(request.method === "HEAD" ? null : new Uint8Array(zipped ?? file.bytes), {
    headers: {
      ...shared,
      "content-type": file.type,
      ...(zipped === undefined ? {} : { "content-encoding": "gzip" }),
    },
  });
}

/** Hashes of the inline scripts of a page, as script-src takes them; JSON blocks do not run and need none. */
export function scriptHashes(html: string): string[] {
  const hashes = [...html.matchAll(/<script([^>]*)>([\s\S]*?)<\/script>/g)].flatMap(([, attributes, code]) =>
    code === undefined || code === "" || /\bsrc=|application\/json/.test(attributes ?? "")
      ? []
      : [`'sha256-${new Bun.CryptoHasher("sha256").update(code).digest("base64")}'`],
  );
  return [...new Set(hashes)];
}

/** The content policy of a page with these script hashes: nothing from anywhere else. */
export const contentPolicy = (hashes: readonly string[]) =>
  [
    "default-src 'self'",
    ["script-src 'self'", ...hashes].join(" "),
    // Vue writes style attributes.
    "style-src 'self' 'unsafe-inline'",
    "img-src 'self' data:",
    "font-src 'self' data:",
    "connect-src 'self'",
    "object-src 'none'",
    "base-uri 'none'",
    "form-action 'self'",
    "frame-ancestors 'none'",
  ].join("; ");

export type Spa = (request: Request) => Response | undefined;

/**
 * Serves the files of `root`; a path without a file gets `200.html`, the single page. `undefined` for a missing asset
 * (its page is an older build). Throws when `root` has no `200.html`.
 */
export async function loadSpa(root: string): Promise<Spa> {
  const files = new Map<string, StaticFile>();
  let bytesTotal = 0;
  for await (const path of new Glob("**/*").scan({ cwd: root, dot: false })) {
    const file = Bun.file(`${root}/${path}`);
    bytesTotal += file.size;
    if (bytesTotal > filesBytesMax) throw new Error(`${root} holds more than ${filesBytesMax} bytes`);
    files.set(`/${path}`, staticFile(await file.bytes(), file.type));
  }
  const shell = files.get("/200.html");
  if (shell === undefined) throw new Error(`${root} has no 200.html: build the dashboard first`);
  const page = {
    "content-security-policy": contentPolicy(scriptHashes(new TextDecoder().decode(shell.bytes))),
    "cache-control": "no-cache",
  };

  return (request) => {
    const path = decodedPath(request.url);
    const file = files.get(path);
    if (file !== undefined && !path.endsWith(".html"))
      return serveFile(request, file, {
        // Names under /_nuxt/ carry a hash of their content.
        "cache-control": path.startsWith("/_nuxt/") ? "public, max-age=31536000, immutable" : "no-cache",
      });
    return path.startsWith("/_nuxt/") ? undefined : serveFile(request, shell, page);
  };
}

function decodedPath(url: string): string {
  const { pathname } = new URL(url);
  try {
    return decodeURIComponent(pathname);
  } catch {
    // Not UTF-8: no file has such a name.
    return pathname;
  }
}
