/** Real HTTPS over the loopback interface; names lead to it by `addressesOf`, as DNS would. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { createResolver } from "@tyto/dns";
import { startDns } from "@tyto/dns/testing";
import { createHttps, type HttpsRequest, reachableAddresses } from "./https.ts";
import { chainPem, pemOf } from "./testing.ts";

let server: Bun.Server<undefined>;
let requests: { method: string; host: string | null; path: string; type: string | null; body: string }[] = [];
beforeAll(() => {
  const pem = chainPem("known");
  server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    tls: { cert: pem, key: pem },
    async fetch(request) {
      const { pathname } = new URL(request.url);
      requests.push({
        method: request.method,
        host: request.headers.get("host"),
        path: pathname,
        type: request.headers.get("content-type"),
        body: await request.text(),
      });
      if (pathname === "/moved") return Response.redirect("https://reports.test/", 301);
      if (pathname === "/large") return new Response("x".repeat(200_000));
      if (pathname === "/endless")
        return new Response(new ReadableStream({ pull: (to) => to.enqueue(new Uint8Array(65_536)) }));
      if (pathname === "/silent") return new Promise<Response>(() => {});
      return new Response("a policy", { headers: { "content-type": "Text/Plain; charset=utf-8" } });
    },
  });
});
afterAll(() => server.stop(true));

const https = (addresses = ["127.0.0.1"], authorities = [pemOf("authority")]) =>
  createHttps({ addressesOf: async () => addresses, authorities });
const url = (path: string, host = "mta-sts.example.org") => new URL(`https://${host}:${server.port}${path}`);
const get: HttpsRequest = { method: "GET", answerBytesMax: 65_536, timeoutMs: 20_000 };

test("an answer comes with its status and type, and the server hears the name that was meant", async () => {
  requests = [];
  expect(await https()(url("/.well-known/mta-sts.txt"), get)).toEqual({
    kind: "answer",
    status: 200,
    mediaType: "text/plain",
    text: "a policy",
  });
  expect(requests).toMatchObject([
    { method: "GET", host: `mta-sts.example.org:${server.port}`, path: "/.well-known/mta-sts.txt" },
  ]);
});

test("a body goes out as it is", async () => {
  requests = [];
  const post = { ...get, method: "POST" as const, headers: { "content-type": "application/tlsrpt+gzip" } };
  await https()(url("/v1", "reports.test"), { ...post, body: Buffer.from("packed") });
  expect(requests).toMatchObject([{ method: "POST", type: "application/tlsrpt+gzip", body: "packed" }]);
});

test("a certificate for another name, or of an unknown authority, is a failure of the certificate", async () => {
  requests = [];
  const ask = https();
  // The right name first: what is kept of that connection must not serve the wrong one.
  expect((await ask(url("/"), get)).kind).toBe("answer");
  expect(await ask(url("/", "mta-sts.evil.example"), get)).toMatchObject({
    kind: "failed",
    isCertificate: true,
  });
  expect(await https(["127.0.0.1"], [])(url("/"), get)).toMatchObject({
    kind: "failed",
    isCertificate: true,
  });
  expect(requests).toHaveLength(1);
});

test("a redirect is not followed", async () => {
  requests = [];
  expect(await https()(url("/moved"), get)).toMatchObject({ kind: "answer", status: 301 });
  expect(requests).toHaveLength(1);
});

test("an answer that is too large is given up, endless or not", async () => {
  for (const path of ["/large", "/endless"])
    expect(await https()(url(path), get)).toMatchObject({
      kind: "failed",
      why: expect.stringContaining("more than 65536 bytes"),
    });
});

test("a server that does not answer is given up in time", async () => {
  expect(await https()(url("/silent"), { ...get, timeoutMs: 100 })).toMatchObject({
    kind: "failed",
    isCertificate: false,
    why: expect.stringContaining("within 0.1 s"),
  });
});

test("the next address is tried when one cannot be reached; without any, nobody connects", async () => {
  expect((await https(["127.0.0.77", "127.0.0.1"])(url("/"), get)).kind).toBe("answer");
  expect(await https([])(url("/"), get)).toMatchObject({
    kind: "failed",
    why: expect.stringContaining("no address"),
  });
  expect(await https()(new URL("http://example.org/"), get)).toMatchObject({ kind: "failed" });
});

test("only addresses on the public internet are reached, unless the operator's network is meant", async () => {
  const dns = await startDns({
    "mta-sts.inside.example": { A: ["10.0.0.5", "192.0.2.1"], AAAA: ["::1", "2a00:1450::1"] },
    "broken.example": "servfail",
  });
  const resolver = createResolver({ servers: dns.servers, triesMax: 1 });
  expect(await reachableAddresses("mta-sts.inside.example", resolver, false)).toEqual(["2a00:1450::1"]);
  expect(await reachableAddresses("mta-sts.inside.example", resolver, true)).toHaveLength(4);
  expect(await reachableAddresses("127.0.0.1", resolver, false)).toEqual([]);
  expect(await reachableAddresses("[::1]", resolver, false)).toEqual([]);
  expect(await reachableAddresses("8.8.8.8", resolver, false)).toEqual(["8.8.8.8"]);
  const ask = createHttps({
    addressesOf: (host) => reachableAddresses(host, resolver, false),
    authorities: [],
  });
  expect(await ask(new URL("https://broken.example/"), get)).toMatchObject({
    kind: "failed",
    why: expect.stringContaining("SERVFAIL"),
  });
  await dns.stop();
});
