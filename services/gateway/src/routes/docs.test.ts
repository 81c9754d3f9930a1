import { afterAll, beforeAll, expect, test } from "bun:test";
import { limits } from "@tyto/contracts";
import { describePublicApi } from "../openapi.ts";
import { startTestGateway, type TestGateway } from "../testing.ts";

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startTestGateway();
});
afterAll(() => gateway.stop());

test("openapi.json in the repository and the one that is served are what the routes say", async () => {
  const described = JSON.parse(describePublicApi());
  // When this fails `bun run codegen` writes the file anew.
  expect(await Bun.file(`${import.meta.dir}/../../openapi.json`).json()).toEqual(described);
  const served = await gateway.request("/openapi.json");
  expect(served.headers.get("content-type")).toContain("application/json");
  expect(await served.json()).toEqual(described);
});

test("the description names every route of /v1 with its security, its limits and an example of a message", async () => {
  const document = JSON.parse(describePublicApi()) as {
    openapi: string;
    info: { description: string };
    paths: Record<string, Record<string, { operationId: string; security?: unknown[]; responses: object }>>;
    components: { schemas: Record<string, { example?: unknown; description?: string }> };
  };
  expect(document.openapi).toBe("3.1.0");
  const served = gateway.app.routes.filter(({ method, path }) => method !== "ALL" && path.startsWith("/v1/"));
  const described = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  );
  const paths = new Set(served.map(({ method, path }) => `${method} ${path.replace(/:(\w+)/g, "{$1}")}`));
  expect(described.toSorted()).toEqual([...paths].toSorted());
  for (const methods of Object.values(document.paths))
    for (const { security, responses } of Object.values(methods)) {
      expect(security).toEqual([{ apiKey: [] }]);
      for (const status of ["401", "403", "429", "503"]) expect(responses).toHaveProperty(status);
    }
  expect(document.components.schemas.SendRequest?.example).toBeDefined();
  expect(document.components.schemas.SendRequest?.description).toContain(String(limits.recipientsMax));
  expect(document.info.description).toContain("Idempotency-Key");
});

test("/docs loads its script from here, and its policy admits nothing else", async () => {
  const page = await gateway.request("/docs");
  const html = await page.text();
  expect(html).toContain('src="/docs/reference.js"');
  expect(html).not.toMatch(/(src|href)="https?:/);
  const policy = page.headers.get("content-security-policy") ?? "";
  expect(policy).toContain("default-src 'self'");
  expect(policy).toMatch(/script-src 'self' 'sha256-[^']+'/);
  expect(policy).not.toContain("script-src 'self' 'unsafe-inline'");
  const script = await gateway.request("/docs/reference.js", { headers: { "accept-encoding": "gzip" } });
  expect(script.headers.get("content-encoding")).toBe("gzip");
  const plain = await gateway.request("/docs/reference.js");
  expect(plain.headers.get("content-encoding")).toBeNull();
  const text = await plain.text();
  // The npm package's own file, unchanged.
  expect(new Bun.CryptoHasher("sha256").update(text).digest("hex")).toBe(
    "bf091006bdc3af6067af77c2f534812e3e633e94a94e87138069f570f33b762c",
  );
  const cached = await gateway.request("/docs/reference.js", {
    headers: { "if-none-match": plain.headers.get("etag") ?? "" },
  });
  expect(cached.status).toBe(304);
});
