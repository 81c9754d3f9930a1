import { Scalar } from "@scalar/hono-api-reference";
import { type Api, newApi } from "../api.ts";
import { contentPolicy, scriptHashes, serveFile, staticFile, zippedFile } from "../spa.ts";

/**
 * The reference's script: `dist/browser/standalone.js` of the npm package @scalar/api-reference 1.72.1 (MIT, see the
 * licence beside it), kept here because the package brings 228 others along for this one file.
 */
const scriptPath = `${import.meta.dir}/../../assets/scalar-api-reference-1.72.1.js.gz`;

/** GET /openapi.json, /docs and the script of /docs: everything from here, for machines without a way out. */
export async function docs(api: Api, document: string): Promise<void> {
  const json = staticFile(new TextEncoder().encode(document), "application/json");
  const rendered = await newApi()
    .get(
      "/",
      Scalar({
        url: "/openapi.json",
        cdn: "/docs/reference.js",
        pageTitle: "Tyto API",
        authentication: { preferredSecurityScheme: "apiKey" },
        // Nothing that asks another host.
        proxyUrl: "",
        telemetry: false,
        withDefaultFonts: false,
        showDeveloperTools: "never",
        hideClientButton: true,
        agent: { disabled: true },
        mcp: { disabled: true },
      }),
    )
    .request("/");
  const page = await rendered.text();
  const html = staticFile(new TextEncoder().encode(page), "text/html; charset=utf-8");
  const policy = contentPolicy(scriptHashes(page));
  let script: ReturnType<typeof staticFile> | undefined;

  api.get("/openapi.json", (c) => serveFile(c.req.raw, json, { "cache-control": "no-cache" }));
  api.get("/docs", (c) =>
    serveFile(c.req.raw, html, { "cache-control": "no-cache", "content-security-policy": policy }),
  );
  api.get("/docs/reference.js", async (c) => {
    script ??= zippedFile(await Bun.file(scriptPath).bytes(), "text/javascript; charset=utf-8");
    return serveFile(c.req.raw, script, { "cache-control": "public, max-age=86400" });
  });
}
