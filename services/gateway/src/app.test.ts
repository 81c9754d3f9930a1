import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadSpa } from "./spa.ts";
import { startTestGateway, type TestGateway } from "./testing.ts";

let gateway: TestGateway;
let folder: string;
const shell =
  '<!doctype html><script>boot()</script><script type="application/json">{}</script><div id=app></div>';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "tyto-spa-"));
  await Bun.write(join(folder, "200.html"), shell);
  await Bun.write(join(folder, "_nuxt/entry.abc.js"), "export const a = 1;".repeat(200));
  await Bun.write(join(folder, "favicon.ico"), "icon");
  const spa = await loadSpa(folder);
  gateway = await startTestGateway({ spa, config: { rateLimitPerS: 3 }, publishMs: 3_000 });
});
afterAll(async () => {
  await gateway.stop();
  await rm(folder, { recursive: true });
});

const hash = `'sha256-${new Bun.CryptoHasher("sha256").update("boot()").digest("base64")}'`;

test.each(["/", "/messages/01mcc5rm007fa6gsq1583yc9sa", "/index.html", "/200.html"])(
  "%s is the dashboard's page, with a policy for exactly its scripts",
  async (path) => {
    const answer = await gateway.request(path);
    expect(await answer.text()).toBe(shell);
    expect(answer.headers.get("content-security-policy")).toContain(`script-src 'self' ${hash};`);
    expect(answer.headers.get("cache-control")).toBe("no-cache");
    expect(answer.headers.get("x-content-type-options")).toBe("nosniff");
  },
);

test("files with a hash in their name are kept for ever, and sent compressed to who takes that", async () => {
  const answer = await gateway.request("/_nuxt/entry.abc.js", { headers: { "accept-encoding": "gzip, br" } });
  expect(answer.headers.get("cache-control")).toContain("immutable");
  expect(answer.headers.get("content-type")).toContain("javascript");
  expect(new TextDecoder().decode(Bun.gunzipSync(await answer.bytes()))).toStartWith("export const a");
  expect((await gateway.request("/_nuxt/entry.old.js")).status).toBe(404);
});

test.each(["/../../etc/passwd", "/..%2f..%2fetc%2fpasswd", "/%2e%2e/config.ts", "/%ff"])(
  "%s is nothing but the page",
  async (path) => {
    const answer = await gateway.app.request(`http://tyto.test${path}`);
    expect(await answer.text()).toBe(shell);
  },
);

test.each(["/v1", "/v1/none", "/api/none", "/convex/none"])("%s is a 404 problem", async (path) => {
  const answer = await gateway.request(path);
  expect(answer.status).toBe(404);
  expect(answer.headers.get("content-type")).toBe("application/problem+json");
  expect(await answer.json()).toMatchObject({
    code: "resource.unknown",
    instance: answer.headers.get("x-request-id"),
  });
});

test("405 names the methods that a path has", async () => {
  for (const [method, path, allowed] of [
    ["PUT", "/v1/emails", "POST, GET"],
    ["GET", "/v1/emails/batch", undefined],
    ["DELETE", "/v1/suppressions", "GET, POST"],
    ["POST", "/healthz", "GET"],
  ] as const) {
    const answer = await gateway.request(path, { method });
    // A batch is also the name of a message that is not there: this path asks who it is first.
    expect(answer.status).toBe(allowed === undefined ? 401 : 405);
    if (allowed !== undefined) expect(answer.headers.get("allow")).toBe(allowed);
  }
});

test("a request id of the client's is kept, one that is none is replaced", async () => {
  const own = await gateway.request("/healthz", { headers: { "x-request-id": "trace-1" } });
  expect(own.headers.get("x-request-id")).toBe("trace-1");
  const bad = await gateway.request("/healthz", { headers: { "x-request-id": "a b" } });
  expect(bad.headers.get("x-request-id")).toMatch(/^[0-9a-f-]{36}$/);
});

test("each key has so many requests per second; the headers count down, the rest is told to wait", async () => {
  const one = await gateway.key("emails:read");
  const other = await gateway.key("emails:read");
  const ask = (key: string) => gateway.request("/v1/emails", { headers: { authorization: `Bearer ${key}` } });
  const remaining: (string | null)[] = [];
  for (let request = 0; request < 3; request++) {
    const answer = await ask(one);
    expect(answer.status).toBe(200);
    expect(answer.headers.get("x-ratelimit-limit")).toBe("3");
    remaining.push(answer.headers.get("x-ratelimit-remaining"));
  }
  expect(remaining).toEqual(["2", "1", "0"]);
  const refused = await ask(one);
  expect(refused.status).toBe(429);
  expect(refused.headers.get("retry-after")).toBe("1");
  expect(refused.headers.get("x-ratelimit-reset")).toBe(String(gateway.clock.now / 1_000 + 1));
  expect((await ask(other)).status).toBe(200);
  gateway.clock.now += 1_000;
  expect((await ask(one)).status).toBe(200);
});

test("requests, failures and messages are counted", async () => {
  const text = await gateway.registry.metrics();
  expect(text).toMatch(/tyto_gateway_requests_total\{method="GET",route="\/v1\/emails",status="429"\} 1/);
  expect(text).toMatch(/tyto_gateway_failures_total\{code="limit\.exceeded"\} 1/);
  expect(text).toContain("tyto_gateway_request_seconds_bucket");
});

test("without NATS: not ready, reading goes on, sending is a 503 with Retry-After, and all is well when it is back", async () => {
  await gateway.addDomain("example.com");
  const mail = { from: "ann@example.com", to: "bob@example.org", subject: "Hi", text: "x" };
  gateway.clock.now += 1_000;
  expect((await gateway.request("/readyz")).status).toBe(200);
  await gateway.nats.kill();
  while ((await gateway.request("/readyz")).status === 200) await Bun.sleep(5);
  expect((await gateway.request("/healthz")).status).toBe(200);
  expect((await gateway.call("GET", "/v1/emails")).status).toBe(200);
  const refused = await gateway.call("POST", "/v1/emails", mail, { "idempotency-key": "outage" });
  expect(refused.status).toBe(503);
  expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
  expect(await refused.json()).toMatchObject({ code: "upstream.down" });
  await gateway.nats.restart();
  while ((await gateway.request("/readyz")).status !== 200) await Bun.sleep(5);
  gateway.clock.now += 1_000;
  const answer = await gateway.call("POST", "/v1/emails", mail, { "idempotency-key": "outage" });
  expect(answer.status).toBe(202);
});
