import { afterEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ConvexClient, ConvexHttpClient } from "convex/browser";
import { makeFunctionReference } from "convex/server";
import { deployFixture } from "../fixtures/deploy.ts";
import { ADMIN_KEY, type ServerProcess, startProcess } from "../fixtures/process.ts";
import { Random } from "../fixtures/random.ts";
import { decodeTs } from "./values/timestamp.ts";

const increment = makeFunctionReference<"mutation">("messages:increment");
const later = makeFunctionReference<"mutation">("messages:later");
const send = makeFunctionReference<"mutation">("messages:send");
const list = makeFunctionReference<"query">("messages:list");
const jobs = makeFunctionReference<"query">("messages:jobs");

const ROUNDS = 6;
let server: ServerProcess | undefined;
let dataDir = "";
afterEach(async () => {
  await server?.kill("SIGKILL");
  rmSync(dataDir, { recursive: true, force: true });
});

async function queryTs(url: string): Promise<number> {
  const { ts } = (await (await fetch(`${url}/api/query_ts`, { method: "POST", body: "{}" })).json()) as {
    ts: string;
  };
  return decodeTs(ts) ?? 0;
}

test("kill -9 at any moment loses nothing that was answered and doubles nothing", async () => {
  dataDir = mkdtempSync(join(tmpdir(), "convex-crash-"));
  server = await startProcess(dataDir);
  await deployFixture({ url: server.url, adminKey: ADMIN_KEY });
  const port = Number(new URL(server.url).port);
  const random = new Random(Date.now());

  // This one reconnects by itself and sends again what was not answered.
  const steady = new ConvexClient(server.url, { logger: false });
  const steadyResults: Promise<unknown>[] = [];
  const answered = { increments: 0, scheduled: [] as string[] };
  let attempted = 0;
  let newestTs = 0;

  for (let round = 0; round < ROUNDS; round++) {
    const { url } = server;
    const client = new ConvexHttpClient(url, { logger: false });
    let isDown = false;
    const worker = async (worker: number) => {
      for (let i = 0; !isDown; i++) {
        const body = `job ${round}/${worker}/${i}`;
        try {
          if (i % 4 === 0) {
            await client.mutation(later, { body, ms: random.below(50) }, { skipQueue: true });
            answered.scheduled.push(body);
          } else {
            attempted++;
            await client.mutation(increment, { name: "crash" }, { skipQueue: true });
            answered.increments++;
          }
        } catch (error) {
          if (!isDown) throw error;
        }
      }
    };
    const workers = Array.from({ length: 8 }, (_, index) => worker(index));
    for (let i = 0; i < 20; i++)
      steadyResults.push(steady.mutation(send, { author: "steady", body: `${round}/${i}` }));
    // At a random moment in the middle of it all.
    const enough = answered.increments + 20 + random.below(60);
    while (answered.increments < enough) await Bun.sleep(1);
    newestTs = await queryTs(url);
    isDown = true;
    await server.kill("SIGKILL");
    await Promise.all(workers);

    server = await startProcess(dataDir, port);
    expect(await queryTs(server.url)).toBeGreaterThanOrEqual(newestTs);
  }

  await Promise.all(steadyResults);
  const client = new ConvexHttpClient(server.url, { logger: false });
  const steadyBodies = ((await client.query(list, { author: "steady" })) as { body: string }[]).map(
    ({ body }) => body,
  );
  expect(steadyBodies).toEqual(
    Array.from({ length: ROUNDS * 20 }, (_, i) => `${Math.floor(i / 20)}/${i % 20}`),
  );
  await steady.close();

  const value = Number(((await client.mutation(increment, { name: "crash" })) as bigint) - 1n);
  expect(value).toBeGreaterThanOrEqual(answered.increments);
  expect(value).toBeLessThanOrEqual(attempted);

  for (;;) {
    const states = ((await client.query(jobs, {})) as { state: { kind: string } }[]).map(
      ({ state }) => state.kind,
    );
    expect(states.filter((kind) => kind === "failed")).toEqual([]);
    if (states.every((kind) => kind === "success")) break;
    await Bun.sleep(20);
  }
  const reminders = ((await client.query(list, { author: "reminder" })) as { body: string }[]).map(
    ({ body }) => body,
  );
  expect(new Set(reminders).size).toBe(reminders.length);
  expect(answered.scheduled.filter((body) => !reminders.includes(body))).toEqual([]);
  expect(answered.increments).toBeGreaterThan(100);
  expect(answered.scheduled.length).toBeGreaterThan(20);
}, 120_000);

test("SIGTERM ends with 0 and everything is there at the next start", async () => {
  dataDir = mkdtempSync(join(tmpdir(), "convex-stop-"));
  server = await startProcess(dataDir);
  await deployFixture({ url: server.url, adminKey: ADMIN_KEY });
  const client = new ConvexHttpClient(server.url);
  await client.mutation(send, { author: "stop", body: "kept" });
  expect(await server.kill("SIGTERM")).toBe(0);
  server = await startProcess(dataDir);
  expect(await new ConvexHttpClient(server.url).query(list, { author: "stop" })).toMatchObject([
    { body: "kept" },
  ]);
}, 30_000);
