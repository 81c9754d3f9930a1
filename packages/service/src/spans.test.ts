import { afterEach, expect, test } from "bun:test";
import { loadConfig, tracingOf, tracingSettings } from "./config.ts";
import { silentLog } from "./log.ts";
import { createTracer, noTracer, parseTraceparent, type Tracer } from "./spans.ts";

type Sent = { resourceSpans: { resource: unknown; scopeSpans: { spans: Record<string, unknown>[] }[] }[] };
const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const clean of cleanups.splice(0)) await clean();
});

/** A collector as OTLP/HTTP describes it. */
function collector(status = 200) {
  const posts: { path: string; headers: Headers; body: Sent }[] = [];
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      posts.push({
        path: new URL(request.url).pathname,
        headers: request.headers,
        body: (await request.json()) as Sent,
      });
      return Response.json({}, { status });
    },
  });
  cleanups.push(() => server.stop(true));
  const spans = () =>
    posts.flatMap(({ body }) =>
      body.resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans: list }) => list)),
    );
  return { posts, spans, url: `http://127.0.0.1:${server.port}` };
}
const tracer = (url: string | undefined, ratio = 1): Tracer =>
  createTracer("mta", { url, headers: { "x-key": "secret" }, ratio }, silentLog);

test("spans of one message hang together over processes, with times, attributes and failures", async () => {
  const { posts, spans, url } = collector();
  const first = tracer(`${url}/v1/traces`);
  const accept = first.begin("api.accept", {
    kind: "server",
    attributes: { "tyto.message": "m1", size: 12, ok: true },
  });
  const attempt = tracer(`${url}/v1/traces`).begin("unsent");
  attempt.end();
  const child = first.begin("mta.attempt", { parent: accept.traceparent, kind: "client" });
  child.end({ "tyto.mx": "mx.test", code: 451 }, "deferred");
  child.end();
  accept.end();
  await first.stop();
  expect(posts[0]?.path).toBe("/v1/traces");
  expect(posts[0]?.headers.get("content-type")).toBe("application/json");
  expect(posts[0]?.headers.get("x-key")).toBe("secret");
  expect(posts[0]?.body.resourceSpans[0]?.resource).toMatchObject({
    attributes: [{ key: "service.name", value: { stringValue: "tyto-mta" } }, {}],
  });
  const [sent, parent] = spans();
  expect(spans()).toHaveLength(2);
  expect(sent).toMatchObject({
    name: "mta.attempt",
    kind: 3,
    parentSpanId: parent?.spanId,
    traceId: parent?.traceId,
    status: { code: 2, message: "deferred" },
    attributes: [
      { key: "tyto.mx", value: { stringValue: "mx.test" } },
      { key: "code", value: { intValue: "451" } },
    ],
  });
  expect(parent).toMatchObject({ name: "api.accept", kind: 2, status: {} });
  expect(parent).not.toHaveProperty("parentSpanId");
  expect(String(sent?.startTimeUnixNano)).toMatch(/^\d{19}$/);
  expect(BigInt(String(sent?.endTimeUnixNano)) >= BigInt(String(sent?.startTimeUnixNano))).toBe(true);
});

test("without a place to send to nothing is traced and nothing is handed on", () => {
  const off = tracer(undefined);
  expect(off).toBe(noTracer);
  expect(
    off.begin("x", { parent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01" }).traceparent,
  ).toBeUndefined();
});

test("who is not recorded stays so in every process, and a caller's decision is kept to", async () => {
  const { spans, url } = collector();
  const rare = tracer(url, 0);
  const span = rare.begin("api.accept");
  expect(span.traceparent).toMatch(/-00$/);
  span.end();
  rare.begin("mta.attempt", { parent: span.traceparent }).end();
  rare.begin("asked-for", { parent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01" }).end();
  await rare.stop();
  expect(spans().map(({ name, traceId }) => [name, traceId])).toEqual([
    ["asked-for", "0af7651916cd43dd8448eb211c80319c"],
  ]);
});

test("a collector that refuses, or is not there, harms nobody and memory is bounded", async () => {
  const { url } = collector(503);
  for (const target of [url, "http://127.0.0.1:9"]) {
    const one = tracer(target);
    for (let count = 0; count < 20_000; count++) one.begin("x").end();
    await one.stop();
  }
});

test("a traceparent that is none begins a new trace", () => {
  for (const text of [
    undefined,
    "",
    "00-0-0-01",
    "00-00000000000000000000000000000000-b7ad6b7169203331-01",
    "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
    "zz",
  ])
    expect(parseTraceparent(text)).toBeUndefined();
});

test("settings are those of OpenTelemetry", () => {
  const readTracing = (env: Record<string, string>) => tracingOf(loadConfig("test", tracingSettings, env));
  expect(readTracing({})).toEqual({ url: undefined, headers: {}, ratio: 1 });
  expect(
    readTracing({
      OTEL_EXPORTER_OTLP_ENDPOINT: "http://collector:4318/",
      OTEL_EXPORTER_OTLP_HEADERS: "x-key=a%20b, y=2",
      OTEL_TRACES_SAMPLER_ARG: "0.1",
    }),
  ).toEqual({ url: "http://collector:4318/v1/traces", headers: { "x-key": "a b", y: "2" }, ratio: 0.1 });
  expect(readTracing({ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "http://c/t" }).url).toBe("http://c/t");
  expect(
    readTracing({ OTEL_SDK_DISABLED: "true", OTEL_EXPORTER_OTLP_ENDPOINT: "http://c" }).url,
  ).toBeUndefined();
});
