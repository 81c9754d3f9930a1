import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ConvexClient, ConvexHttpClient } from "convex/browser";
import { makeFunctionReference } from "convex/server";
import { deployFixture } from "../../fixtures/deploy.ts";
import { randomFrame, randomRequest } from "../../fixtures/foreign-bytes.ts";
import { ADMIN_KEY, type ServerProcess, startProcess } from "../../fixtures/process.ts";
import { Random } from "../../fixtures/random.ts";

const marks = makeFunctionReference<"query">("hogs:marks");
const mark = makeFunctionReference<"mutation">("hogs:mark");
const MIB = 1024 * 1024;

let dataDir: string;
let server: ServerProcess;
beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), "convex-fuzz-"));
  server = await startProcess(dataDir, 0, undefined, { CONVEX_CONNECTIONS_MAX: "2000" });
  await deployFixture(
    { url: server.url, adminKey: ADMIN_KEY },
    `${import.meta.dir}/../../fixtures/hogs/convex`,
  );
}, 300_000);
afterAll(async () => {
  await server.kill("SIGKILL");
  rmSync(dataDir, { recursive: true, force: true });
});

/** Opens a connection, sends the parts, and closes it after a while. */
async function throwAt(url: string, parts: Buffer[], holdMs: number): Promise<string> {
  let text = "";
  const { promise, resolve } = Promise.withResolvers<void>();
  const socket = await Bun.connect({
    hostname: "127.0.0.1",
    port: Number(new URL(url).port),
    socket: {
      data: (_socket, bytes) => {
        if (text.length < 1000) text += bytes.toString("latin1");
      },
      close: () => resolve(),
      error: () => resolve(),
    },
  });
  for (const part of parts) socket.write(part);
  const timer = setTimeout(() => socket.terminate(), holdMs);
  await promise;
  clearTimeout(timer);
  return text;
}

/** Opens so many WebSockets, and closes all of them when each has been answered or refused. */
async function answersToMany(count: number): Promise<string[]> {
  const texts = Array<string>(count).fill("");
  const heard = Array.from(texts, () => Promise.withResolvers<void>());
  const { hostname, port } = new URL(server.url);
  const sockets = await Promise.all(
    heard.map(({ resolve }, index) =>
      Bun.connect({
        hostname,
        port: Number(port),
        socket: {
          open: (socket) => void socket.write(UPGRADE),
          data: (_socket, bytes) => {
            texts[index] += bytes.toString("latin1");
            resolve();
          },
          close: () => resolve(),
          error: () => resolve(),
        },
      }).catch(() => resolve()),
    ),
  );
  await Promise.all(heard.map(({ promise }) => promise));
  for (const socket of sockets) socket?.terminate();
  return texts;
}

const residentBytes = (pid: number) =>
  Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "latin1"))?.[1] ?? 0) * 1024;
const engineOf = (pid: number) =>
  Number(readFileSync(`/proc/${pid}/task/${pid}/children`, "latin1").trim().split(" ")[0]);
const UPGRADE = Buffer.from(
  "GET /api/1.48.0/sync HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
);

/** The same engine as before, quick to answer, its live queries alive, and of bounded size. */
async function isHealthy(engine: number): Promise<void> {
  const client = new ConvexHttpClient(server.url, { logger: false });
  const name = crypto.randomUUID();
  await client.mutation(mark, { name });
  const socket = new ConvexClient(server.url, { logger: false });
  await new Promise<void>((resolve) => {
    socket.onUpdate(marks, {}, (seen: string[]) => {
      if (seen.includes(name)) resolve();
    });
  });
  await socket.close();
  expect(engineOf(server.pid)).toBe(engine);
  expect(residentBytes(engine)).toBeLessThan(600 * MIB);
  expect(residentBytes(server.pid)).toBeLessThan(300 * MIB);
}

test("random requests on both ports leave the server as it was", async () => {
  const random = new Random(31);
  const engine = engineOf(server.pid);
  for (let round = 0; round < 40; round++) {
    await Promise.all(
      Array.from({ length: 50 }, () =>
        throwAt(random.pick([server.url, server.siteUrl]), [randomRequest(random)], 100),
      ),
    );
  }
  await isHealthy(engine);
}, 300_000);

test("random frames, split anywhere, leave the server as it was", async () => {
  const random = new Random(32);
  const engine = engineOf(server.pid);
  for (let round = 0; round < 20; round++) {
    await Promise.all(
      Array.from({ length: 50 }, () => {
        const bytes = Buffer.concat([
          UPGRADE,
          ...Array.from({ length: random.below(20) }, () => randomFrame(random)),
        ]);
        const cut = random.below(bytes.length);
        return throwAt(server.url, [bytes.subarray(0, cut), bytes.subarray(cut)], 100);
      }),
    );
  }
  await isHealthy(engine);
}, 300_000);

test("frames and bodies that are too large are ended, not gathered", async () => {
  const engine = engineOf(server.pid);
  const header = Buffer.from([0x81, 0xff, 0, 0, 0, 0, 0x10, 0, 0, 0, 0, 0, 0, 0]);
  const piece = Buffer.alloc(4 * MIB, "x");
  await Promise.all(
    Array.from({ length: 8 }, () =>
      throwAt(server.url, [UPGRADE, header, ...Array<Buffer>(12).fill(piece)], 5000),
    ),
  );
  const large = await fetch(`${server.url}/api/query`, { method: "POST", body: Buffer.alloc(65 * MIB, " ") });
  expect(large.status).toBe(413);
  const site = await fetch(`${server.siteUrl}/headers`, { method: "POST", body: Buffer.alloc(21 * MIB) });
  expect([404, 413]).toContain(site.status);
  await isHealthy(engine);
}, 300_000);

test("of thousands of sockets the last are refused in words, and all others served", async () => {
  const engine = engineOf(server.pid);
  const all = await answersToMany(3000);
  const refused = all.filter((text) => text.includes("TooManyConnections")).length;
  const served = all.filter((text) => text.startsWith("HTTP/1.1 101")).length;
  expect(served).toBeGreaterThan(1500);
  // A refusal may be lost where the client was still sending.
  expect(refused).toBeGreaterThan(0);
  expect(served).toBeLessThanOrEqual(2000);
  await isHealthy(engine);
}, 300_000);
