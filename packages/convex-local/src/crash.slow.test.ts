import { afterEach, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ConvexClient, ConvexHttpClient } from "convex/browser";
import { makeFunctionReference } from "convex/server";
import { freePort } from "../../../test/parts/ports.ts";
import { deployFixture } from "../fixtures/deploy.ts";
import { ADMIN_KEY, ALONE, type ServerProcess, startProcess } from "../fixtures/process.ts";
import { Random } from "../fixtures/random.ts";
import { Session } from "../fixtures/session.ts";
import { decodeTs } from "./values/timestamp.ts";

const increment = makeFunctionReference<"mutation">("messages:increment");
const later = makeFunctionReference<"mutation">("messages:later");
const send = makeFunctionReference<"mutation">("messages:send");
const list = makeFunctionReference<"query">("messages:list");
const jobs = makeFunctionReference<"query">("messages:jobs");
const largeFileBytes = 100_000;
const storeFile = makeFunctionReference<"action">("files:store");
const readFile = makeFunctionReference<"action">("files:read");
const allFiles = makeFunctionReference<"query">("files:all");

const KILLS = 200;
/** So many answers, at most, before the next kill. */
const ANSWERS_MAX = 60;
const SESSION_MUTATIONS_PER_KILL = 3;
/** One in so many is killed together with the door in front of it; both take longer to start. */
const KILLS_PER_DOOR = 10;

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

async function bodiesOf(client: ConvexHttpClient, author: string): Promise<string[]> {
  return ((await client.query(list, { author })) as { body: string }[]).map(({ body }) => body);
}

test(`kill -9 at ${KILLS} random moments loses nothing that was answered and doubles nothing`, async () => {
  dataDir = mkdtempSync(join(tmpdir(), "convex-crash-"));
  // One that nobody else gets while the server is down.
  const port = await freePort();
  server = await startProcess(dataDir, port);
  await deployFixture({ url: server.url, adminKey: ADMIN_KEY });
  const seed = Date.now();
  process.stderr.write(`kill -9 with the seed ${seed}\n`);
  const random = new Random(seed);
  const session = new Session();

  const answered = {
    increments: 0,
    sent: [] as string[],
    scheduled: [] as string[],
    files: new Map<string, string>(),
  };
  const attempted = { increments: 0, sent: new Set<string>() };
  let answers = 0;
  let isDown = false;

  const work = async (client: ConvexHttpClient, name: string, index: number) => {
    switch (index % 4) {
      case 0:
        await client.mutation(later, { body: name, ms: random.below(50) }, { skipQueue: true });
        answered.scheduled.push(name);
        return;
      case 1:
        attempted.sent.add(name);
        await client.mutation(send, { author: "http", body: name }, { skipQueue: true });
        answered.sent.push(name);
        return;
      case 2:
        if (index % 16 === 2) {
          // Half of them small enough to lie in the database.
          const text = index % 32 === 2 ? name : name.padEnd(largeFileBytes, ".");
          answered.files.set((await client.action(storeFile, { text })) as string, text);
          return;
        }
    }
    attempted.increments++;
    await client.mutation(increment, { name: "crash" }, { skipQueue: true });
    answered.increments++;
  };

  for (let kill = 0; kill < KILLS; kill++) {
    const { url } = server;
    const client = new ConvexHttpClient(url, { logger: false });
    isDown = false;
    session.connect(url);
    for (let i = 0; i < SESSION_MUTATIONS_PER_KILL; i++)
      session.mutate("messages:send", { author: "session", body: `${kill}/${i}` });
    const enough = answers + 1 + random.below(ANSWERS_MAX);
    let haveEnough = () => {};
    const isEnough = new Promise<void>((resolve) => {
      haveEnough = resolve;
    });
    const worker = async (worker: number) => {
      for (let index = random.below(16); !isDown; index++) {
        try {
          await work(client, `${kill}/${worker}/${index}`, index);
          answers++;
          if (answers >= enough) haveEnough();
        } catch (error) {
          if (!isDown) throw error;
        }
      }
    };
    const workers = Array.from({ length: 8 }, (_, index) => worker(index));
    await Promise.race([isEnough, Promise.all(workers)]);
    const newestTs = await queryTs(url);
    isDown = true;
    await server.kill("SIGKILL");
    await Promise.all(workers);

    server = await (kill % KILLS_PER_DOOR === 0
      ? startProcess(dataDir, port)
      : startProcess(dataDir, port, ALONE));
    expect(await queryTs(server.url)).toBeGreaterThanOrEqual(newestTs);
  }

  session.connect(server.url);
  while (session.waiting > 0) await Bun.sleep(5);
  const client = new ConvexHttpClient(server.url, { logger: false });

  // By WebSocket: each once and in order, however often it was sent.
  expect(session.answers).toHaveLength(KILLS * SESSION_MUTATIONS_PER_KILL);
  expect(await bodiesOf(client, "session")).toEqual(
    Array.from(
      { length: KILLS * SESSION_MUTATIONS_PER_KILL },
      (_, i) => `${Math.floor(i / SESSION_MUTATIONS_PER_KILL)}/${i % SESSION_MUTATIONS_PER_KILL}`,
    ),
  );
  session.close();

  // By HTTP: at least what was answered, at most what was asked for, and nothing twice.
  const sent = await bodiesOf(client, "http");
  expect(new Set(sent).size).toBe(sent.length);
  expect(answered.sent.filter((body) => !sent.includes(body))).toEqual([]);
  expect(sent.filter((body) => !attempted.sent.has(body))).toEqual([]);
  const value = Number(((await client.mutation(increment, { name: "crash" })) as bigint) - 1n);
  expect(value).toBeGreaterThanOrEqual(answered.increments);
  expect(value).toBeLessThanOrEqual(attempted.increments);

  // Scheduled: all of them, each once.
  for (;;) {
    const states = ((await client.query(jobs, {})) as { state: { kind: string } }[]).map(
      ({ state }) => state.kind,
    );
    expect(states.filter((kind) => kind === "failed")).toEqual([]);
    if (states.every((kind) => kind === "success")) {
      const reminders = await bodiesOf(client, "reminder");
      expect(reminders).toHaveLength(states.length);
      expect(new Set(reminders).size).toBe(reminders.length);
      expect(answered.scheduled.filter((body) => !reminders.includes(body))).toEqual([]);
      break;
    }
    await Bun.sleep(20);
  }

  // Files: every row has its bytes and, after one more start, no bytes are without a row.
  const rows = (await client.query(allFiles, {})) as { _id: string; size: number }[];
  const ids = new Set(rows.map(({ _id }) => _id));
  for (const [id, text] of answered.files) {
    expect(ids.has(id)).toBe(true);
    expect(await client.action(readFile, { id })).toBe(text);
  }
  for (const { _id: id } of rows) expect(await client.action(readFile, { id })).not.toBeNull();
  await server.kill("SIGKILL");
  server = await startProcess(dataDir, port);
  expect(readdirSync(join(dataDir, "storage"))).toHaveLength(
    rows.filter(({ size }) => size >= largeFileBytes).length,
  );

  expect(answered.increments).toBeGreaterThan(KILLS);
  expect(answered.sent.length).toBeGreaterThan(KILLS);
  expect(answered.scheduled.length).toBeGreaterThan(KILLS);
  expect(answered.files.size).toBeGreaterThan(KILLS / 4);
}, 1_800_000);

test("the official client goes on by itself over restarts, and its mutations are applied once", async () => {
  const rounds = 3;
  const perRound = 20;
  dataDir = mkdtempSync(join(tmpdir(), "convex-crash-"));
  // One that nobody else gets while the server is down.
  const port = await freePort();
  server = await startProcess(dataDir, port);
  await deployFixture({ url: server.url, adminKey: ADMIN_KEY });
  const client = new ConvexClient(server.url, { logger: false });
  const results: Promise<unknown>[] = [];
  for (let round = 0; round < rounds; round++) {
    const first = results.length;
    for (let i = 0; i < perRound; i++)
      results.push(client.mutation(send, { author: "steady", body: `${round}/${i}` }));
    // In the middle of them.
    await results[first + perRound / 2];
    await server.kill("SIGKILL");
    server = await startProcess(dataDir, port);
  }
  await Promise.all(results);
  expect(await bodiesOf(new ConvexHttpClient(server.url, { logger: false }), "steady")).toEqual(
    Array.from({ length: rounds * perRound }, (_, i) => `${Math.floor(i / perRound)}/${i % perRound}`),
  );
  await client.close();
}, 300_000);

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
}, 300_000);
