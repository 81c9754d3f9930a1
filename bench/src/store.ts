/**
 * convex-local by itself: mutations, queries, batches of events and live updates over HTTP and WebSocket, beside
 * bun:sqlite writing the same rows by hand and beside convex-test running the same functions; then what many documents
 * cost in memory, in time and at a restart after kill -9.
 */
import { mkdtemp, rm, stat } from "node:fs/promises";
import { loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { benchmark } from "./benchmark.ts";
import { cpuSeconds, memoryMb } from "./processes.ts";
import { type Engine, startEngine, stopEngines } from "./store/engine.ts";
import { events, item, owners } from "./store/items.ts";
import { liveUpdates } from "./store/live.ts";
import { load, round } from "./store/load.ts";
import { platformEvents } from "./store/platform.ts";

const note = (text: string) => console.error(`store: ${text}`);

/** Runs one of the programs beside this file and reads its line of JSON. */
async function program<T>(name: string, ...args: (string | number)[]): Promise<T> {
  const child = Bun.spawn([process.execPath, join(import.meta.dir, "store", name), ...args.map(String)], {
    stdout: "pipe",
    stderr: "inherit",
  });
  const printed = await new Response(child.stdout).text();
  if ((await child.exited) !== 0) throw new Error(`${name} failed`);
  return (printed === "" ? null : JSON.parse(printed)) as T;
}

let inserted = 0;
const add = (engine: Engine) => engine.call("mutation", "items:add", item(1_000_000_007 + inserted++));
const top = (engine: Engine, index: number) =>
  engine.call("query", "items:top", { owner: `owner${index % owners}` });

async function withCpu<T extends { perS: number }>(engine: Engine, count: number, work: () => Promise<T>) {
  const beforeS = await cpuSeconds([engine.pid]);
  const measured = await work();
  return { ...measured, cpuUs: Math.round((((await cpuSeconds([engine.pid])) - beforeS) / count) * 1e6) };
}

type Job = Record<
  | "callers"
  | "mutations"
  | "queries"
  | "batches"
  | "subscriptions"
  | "updates"
  | "documents"
  | "few"
  | "many",
  number
>;

async function small(folder: string, job: Job) {
  const raw = await program<{ onePerCommit: number; grouped: number }>(
    "raw.ts",
    join(folder, "raw.sqlite3"),
    job.callers,
    job.mutations,
  );
  note(`raw bun:sqlite ${raw.onePerCommit}/s, ${raw.grouped}/s in groups of ${job.callers}`);
  const engine = await startEngine(join(folder, "small"));
  await engine.deploy();
  await load(500, job.callers, () => add(engine)); // Compiled by then.
  const mutations = await withCpu(engine, job.mutations, () =>
    load(job.mutations, job.callers, () => add(engine)),
  );
  note(`mutations ${mutations.perS}/s`);
  const alone = await load(Math.ceil(job.mutations / 10), 1, () => add(engine));
  const queries = await withCpu(engine, job.queries, () =>
    load(job.queries, job.callers, (index) => top(engine, index)),
  );
  note(`queries ${queries.perS}/s`);
  const batches = await load(job.batches, 4, (batch) =>
    engine.call("mutation", "items:applyEvents", { events: events(batch) }),
  );
  note(`events ${batches.perS * 200}/s`);
  const live = await liveUpdates(engine, job.subscriptions, job.updates);
  note(`live updates p99 ${live.p99Ms} ms`);
  await engine.stop();
  return {
    mutations: {
      ...mutations,
      ofRaw: round(mutations.perS / raw.onePerCommit),
      ofRawGrouped: round(mutations.perS / raw.grouped),
    },
    mutationsOneCaller: alone,
    queries,
    eventBatches: { eventsPerS: batches.perS * 200, p50Ms: batches.p50Ms, p99Ms: batches.p99Ms },
    live,
    rawSqlite: raw,
  };
}

/** What each setting of SQLite's `synchronous` gives. */
async function durability(folder: string, job: Job) {
  const perS: Record<string, number> = {};
  for (const synchronous of ["FULL", "NORMAL", "OFF"]) {
    const engine = await startEngine(join(folder, `sync-${synchronous}`), synchronous);
    await engine.deploy();
    await load(500, job.callers, () => add(engine));
    perS[synchronous] = (await load(job.mutations / 2, job.callers, () => add(engine))).perS;
    await engine.stop();
  }
  return perS;
}

/** A data directory with so many documents. */
async function filled(folder: string, name: string, documents: number): Promise<string> {
  const dataDir = join(folder, name);
  const engine = await startEngine(dataDir);
  await engine.deploy();
  await engine.stop();
  const startedMs = performance.now();
  await program("fill.ts", dataDir, documents);
  note(`${documents} documents after ${round((performance.now() - startedMs) / 1_000, 0)} s`);
  return dataDir;
}

const sizeMb = async (file: string) => Math.round((await stat(file).catch(() => ({ size: 0 }))).size / 1e6);

async function memoryAndRestart(folder: string, job: Job) {
  const dataDir = await filled(folder, "large", job.documents);
  const engine = await startEngine(dataDir);
  const startMb = await memoryMb([engine.pid]);
  await load(100_000, job.callers, (index) => top(engine, index));
  const memory = { documents: job.documents, startMb, mb: await memoryMb([engine.pid]) };
  note(`${memory.mb} MB after 100,000 queries`);
  const restart = await restartAfterKill(dataDir, engine, job);
  await rm(dataDir, { recursive: true });
  return { memory, restart };
}

/** Killed in the middle of writing, with as much in the log as that leaves. */
async function restartAfterKill(dataDir: string, running: Engine, job: Job) {
  const writing = load(20_000, job.callers, () => add(running)).catch(() => undefined);
  await Bun.sleep(3_000);
  await running.stop("SIGKILL");
  await writing;
  const file = join(dataDir, "convex.sqlite3");
  const [dataMb, logMb] = [await sizeMb(file), await sizeMb(`${file}-wal`)];
  const engine = await startEngine(dataDir);
  const startedMs = performance.now();
  await top(engine, 1);
  const firstQueryMs = round(performance.now() - startedMs);
  await engine.stop();
  return { dataMb, logMb, readyMs: Math.round(engine.startMs), firstQueryMs };
}

/** Mutations on few and on many documents in turn, so that what else the machine does falls on both. */
async function growth(folder: string, job: Job) {
  const dataDirs = [await filled(folder, "few", job.few), await filled(folder, "many", job.many)];
  const engines = await Promise.all(dataDirs.map((dataDir) => startEngine(dataDir)));
  const perMutationMs: number[][] = [[], []];
  for (let turn = 0; turn < 6; turn++) {
    for (const [which, engine] of engines.entries()) {
      const { perS } = await load(2_000, job.callers, () => add(engine));
      // The first turn reads the upper levels of the trees into memory.
      if (turn > 0) perMutationMs[which]?.push(1_000 / perS);
    }
  }
  const [few, many] = engines;
  await few?.stop();
  const restart = many === undefined ? null : await restartAfterKill(dataDirs[1] ?? "", many, job);
  const median = (values: number[]) => values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;
  const [fewMs = 0, manyMs = 0] = perMutationMs.map(median);
  return {
    few: job.few,
    many: job.many,
    fewMs: round(fewMs, 3),
    manyMs: round(manyMs, 3),
    ratio: round(manyMs / fewMs),
    restart,
  };
}

export const store = benchmark({
  name: "store",
  about: "convex-local beside bun:sqlite and convex-test",
  options: {
    callers: { usual: 16, about: "at once" },
    mutations: { usual: 20_000, about: "in all" },
    queries: { usual: 40_000, about: "in all" },
    batches: { usual: 100, about: "of events, as the recorder writes them" },
    subscriptions: { usual: 1_000, about: "live" },
    updates: { usual: 500, about: "that they see" },
    documents: { usual: 1_000_000, least: 0, about: "before a restart; 0: without this part" },
    few: { usual: 50_000, about: "documents before growth is measured" },
    many: { usual: 5_000_000, least: 0, about: "documents after it; 0: without this part" },
    folder: { usual: "", about: "for the data, the system's temporary one if empty" },
  },
  async run({ folder: given, ...job }) {
    const folder = await mkdtemp(join(given || tmpdir(), "tyto-store-"));
    try {
      const parts = await small(folder, job);
      const synchronous = await durability(folder, job);
      const platform = await platformEvents(join(folder, "platform"), job.batches, 2);
      note(`platform ${platform.eventsPerS} events/s`);
      const convexTest = await program("convex-test.ts", 2_000, job.callers);
      const large = job.documents > 0 ? await memoryAndRestart(folder, job) : {};
      const grown = job.many > 0 ? { growth: await growth(folder, job) } : {};
      return {
        ...job,
        ...parts,
        synchronous,
        platform,
        convexTest,
        ...large,
        ...grown,
        load: loadavg().map((value) => round(value)),
      };
    } finally {
      await stopEngines();
      await rm(folder, { recursive: true, force: true });
    }
  },
});
