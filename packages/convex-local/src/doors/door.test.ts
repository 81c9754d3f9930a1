import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { randomRequest } from "../../fixtures/foreign-bytes.ts";
import { Random } from "../../fixtures/random.ts";
import { Door, type DoorOptions } from "./door.ts";
import type { EngineEnd, Patience } from "./passage.ts";

/** A stand-in for the engine: the door is tested with real sockets on both sides. */
const directory = mkdtempSync(join(tmpdir(), "convex-doors-"));
const seen: string[] = [];
let engine: ReturnType<typeof startEngine>;

function startEngine() {
  const apiSocket = join(directory, `${crypto.randomUUID().slice(0, 8)}`);
  const server = Bun.serve({
    unix: apiSocket,
    maxRequestBodySize: 1024 ** 3,
    fetch: async (request) => {
      const { pathname } = new URL(request.url);
      seen.push(`${request.method} ${pathname}`);
      const isStuck = pathname === "/api/mutation" && (await request.clone().text()) === "{}";
      if (isStuck || pathname === "/api/wait") await new Promise(() => {});
      if (pathname === "/large") return new Response(Buffer.alloc(8 * 1024 * 1024, "z"));
      if (pathname === "/stream") {
        return new Response(
          new ReadableStream({
            async start(controller) {
              for (let part = 0; part < 5; part++) {
                controller.enqueue(`part ${part};`);
                await Bun.sleep(1);
              }
              controller.close();
            },
          }),
        );
      }
      const who = request.headers.get("x-door-test");
      return Response.json({ bytes: (await request.bytes()).byteLength, who });
    },
  });
  return { server, listening: { apiSocket, siteSocket: apiSocket, arrive: () => {} } };
}

let door: Door;
const open = (options: Partial<DoorOptions> = {}) => {
  door = new Door({
    host: "127.0.0.1",
    port: 0,
    sitePort: 0,
    connectionsMax: 1000,
    redact: false,
    field: "x-door-test",
    ...options,
  });
  return `http://127.0.0.1:${door.port}`;
};
const nobodyBegan: EngineEnd = { hasBegun: () => false, blame: () => null };

beforeAll(() => {
  engine = startEngine();
});
afterEach(() => door.end());
afterAll(async () => {
  await engine.server.stop(true);
  rmSync(directory, { recursive: true });
});

/** Sends bytes as they are, and gives all that comes back when the door closes the connection. */
function raw(url: string, parts: (string | Buffer)[]): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  let text = "";
  Bun.connect({
    hostname: "127.0.0.1",
    port: Number(new URL(url).port),
    socket: {
      open: (socket) => {
        for (const part of parts) socket.write(part);
      },
      data: (_socket, bytes) => {
        text += bytes.toString("latin1");
      },
      close: () => resolve(text),
      error: () => resolve(text),
    },
  }).catch(() => resolve(text));
  return promise;
}

async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await Bun.sleep(2);
}

test("requests pass with their bodies, whole, chunked, large and streamed, and the engine learns from whom", async () => {
  const url = open();
  door.engineStarted(engine.listening);
  expect(await (await fetch(`${url}/x`, { method: "POST", body: "12345" })).json()).toMatchObject({
    bytes: 5,
    who: expect.stringMatching(/^\d+ 127\.0\.0\.1$/),
  });
  const streamed = new ReadableStream({
    async start(controller) {
      for (let part = 0; part < 10; part++) controller.enqueue(new Uint8Array(10_000));
      controller.close();
    },
  });
  expect(await (await fetch(`${url}/x`, { method: "POST", body: streamed })).json()).toMatchObject({
    bytes: 100_000,
  });
  const large = new Uint8Array(20 * 1024 * 1024);
  expect(await (await fetch(`${url}/x`, { method: "POST", body: large })).json()).toMatchObject({
    bytes: large.length,
  });
  expect((await (await fetch(`${url}/large`)).bytes()).length).toBe(8 * 1024 * 1024);
  expect(await (await fetch(`${url}/stream`)).text()).toEndWith("part 4;");
  expect((await fetch(`${url}/large`, { method: "HEAD" })).status).toBe(200);
});

test("nobody can say that he is another", async () => {
  const url = open({ field: "x-door-secret" });
  door.engineStarted(engine.listening);
  const answer = await fetch(url, { headers: { "x-door-test": "7 10.0.0.1" } });
  // The engine reads another field than the one that was sent.
  expect(await answer.json()).toMatchObject({ who: "7 10.0.0.1" });
});

test("requests one after another on one connection are answered in order, even when sent at once", async () => {
  const url = open();
  door.engineStarted(engine.listening);
  const post = (body: string, close = "") =>
    `POST /x HTTP/1.1\r\nHost: x\r\n${close}Content-Length: ${body.length}\r\n\r\n${body}`;
  const text = await raw(url, [post("1") + post("22") + post("333", "Connection: close\r\n")]);
  expect([...text.matchAll(/"bytes":(\d)/g)].map(([, bytes]) => bytes)).toEqual(["1", "2", "3"]);
});

test("a request waits for an engine that is starting, and no longer than it should", async () => {
  const url = open();
  const early = fetch(`${url}/x`, { method: "POST", body: "early" });
  await until(() => door.connections === 1);
  door.engineStarted(engine.listening);
  expect(await (await early).json()).toMatchObject({ bytes: 5 });
  door.end();
  const never = open({ patience: { lookMs: 5, startMsMax: 1 } });
  const answer = await fetch(`${never}/x`);
  expect([answer.status, await answer.json()]).toMatchObject([503, { code: "EngineStarting" }]);
});

test("when the engine ends, each request gets what is due to it", async () => {
  const url = open();
  door.engineStarted(engine.listening);
  const begun = seen.length;
  const origin = { origin: "https://app.test" };
  const guilty = fetch(`${url}/api/mutation`, { method: "POST", body: "{}", headers: origin });
  await until(() => seen.length === begun + 1);
  const innocent = fetch(`${url}/api/mutation`, { method: "POST", body: "{}" });
  await until(() => seen.length === begun + 2);
  const other = fetch(`${url}/api/wait`, { method: "POST", body: "{}" });
  await until(() => seen.length === begun + 3);
  door.engineEnded({
    hasBegun: () => true,
    blame: (passage) =>
      passage === 0 ? { code: "FunctionTimeout", message: "Function execution timed out" } : null,
  });
  const blamed = await guilty;
  expect(blamed.headers.get("access-control-allow-origin")).toBe("https://app.test");
  expect([blamed.status, await blamed.json()]).toMatchObject([
    200,
    {
      status: "error",
      errorMessage: expect.stringContaining("FunctionTimeout: Function execution timed out"),
    },
  ]);
  for (const answer of [await innocent, await other]) {
    expect([answer.status, await answer.json()]).toMatchObject([503, { code: "EngineRestarted" }]);
  }
});

test("a call that had not begun is sent to the next engine, once", async () => {
  const url = open();
  door.engineStarted(engine.listening);
  const before = seen.length;
  const call = fetch(`${url}/api/mutation`, { method: "POST", body: "{}" });
  await until(() => seen.length === before + 1);
  door.engineEnded(nobodyBegan);
  door.engineStarted(engine.listening);
  await until(() => seen.length === before + 2);
  door.engineEnded(nobodyBegan);
  expect((await call).status).toBe(503);
  expect(seen.length).toBe(before + 2);
});

test("with redaction, the reason is not told", async () => {
  const url = open({ redact: true });
  door.engineStarted(engine.listening);
  const before = seen.length;
  const call = fetch(`${url}/api/mutation`, { method: "POST", body: "{}" });
  await until(() => seen.length === before + 1);
  door.engineEnded({ hasBegun: () => true, blame: () => ({ code: "FunctionTimeout", message: "secret" }) });
  expect(((await (await call).json()) as { errorMessage: string }).errorMessage).toMatch(
    /^\[Request ID: \w+\] Server Error$/,
  );
});

const slow: [string, Partial<Patience>, string[], string][] = [
  ["a head that does not end", { headMsMax: 1 }, ["GET /x HTTP/1.1\r\nHost: x\r\n"], "408"],
  [
    "a body that does not come",
    { bodyGapMsMax: 1 },
    ["POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n12"],
    "408",
  ],
  ["silence", { idleMsMax: 1 }, [], ""],
];
test.each(slow)("%s is not waited for", async (_name, patience, parts, status) => {
  const url = open({ patience: { lookMs: 5, ...patience } });
  door.engineStarted(engine.listening);
  expect((await raw(url, parts)).slice(9, 12)).toBe(status);
  await until(() => door.connections === 0);
});

const wrong: [string, string, string][] = [
  ["a long target", `GET /${"x".repeat(13_000)} HTTP/1.1\r\n\r\n`, "414"],
  ["a large head", `GET / HTTP/1.1\r\nX: ${"x".repeat(20_000)}`, "431"],
  ["another protocol", "SSH-2.0-OpenSSH_9.9\r\n\r\n", "400"],
  ["HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "505"],
  ["no host", "GET / HTTP/1.1\r\n\r\n", "400"],
  ["a host that is none", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", "400"],
  ["a target that is none", "GET x HTTP/1.1\r\nHost: x\r\n\r\n", "400"],
  ["a method that is none", "FROB / HTTP/1.1\r\nHost: x\r\n\r\n", "501"],
  ["two lengths", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", "400"],
  ["a negative length", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", "400"],
  [
    "length and chunks",
    "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "400",
  ],
  ["an unknown transfer encoding", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", "501"],
  ["a chunk without size", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "400"],
];
test.each(wrong)("%s: refused", async (_name, bytes, status) => {
  const url = open();
  door.engineStarted(engine.listening);
  expect((await raw(url, [bytes])).slice(9, 12)).toBe(status);
});

test("clients beyond the bound are told so, and there is room when others have gone", async () => {
  const url = open({ connectionsMax: 3 });
  door.engineStarted(engine.listening);
  const { hostname, port } = new URL(url);
  const inside = await Promise.all(
    [1, 2, 3].map(() => Bun.connect({ hostname, port: Number(port), socket: { data() {} } })),
  );
  await until(() => door.connections === 3);
  expect(await raw(url, [])).toContain("TooManyConnections");
  for (const client of inside) client.end();
  await until(() => door.connections === 0);
  expect((await fetch(`${url}/x`)).status).toBe(200);
});

test("random bytes are answered or refused, and the door stays open", async () => {
  const random = new Random(20_261);
  const url = open({ patience: { lookMs: 5, headMsMax: 20, bodyGapMsMax: 20, idleMsMax: 20, endMsMax: 20 } });
  door.engineStarted(engine.listening);
  for (let round = 0; round < 10; round++) {
    const all = Array.from({ length: 40 }, () => {
      const bytes = randomRequest(random);
      const cut = random.below(bytes.length);
      return raw(url, random.below(2) === 0 ? [bytes] : [bytes.subarray(0, cut), bytes.subarray(cut)]);
    });
    for (const text of await Promise.all(all)) expect(text === "" || text.startsWith("HTTP/1.1 ")).toBeTrue();
  }
  await until(() => door.connections === 0);
  expect((await fetch(`${url}/x`)).status).toBe(200);
}, 120_000);
