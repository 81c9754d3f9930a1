import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ConvexClient, ConvexHttpClient } from "convex/browser";
import { makeFunctionReference } from "convex/server";
import { deployFixture } from "../../fixtures/deploy.ts";
import { ADMIN_KEY, type ServerProcess, startProcess } from "../../fixtures/process.ts";

const query = (name: string) => makeFunctionReference<"query">(`hogs:${name}`);
const mutation = (name: string) => makeFunctionReference<"mutation">(`hogs:${name}`);
const action = (name: string) => makeFunctionReference<"action">(`hogs:${name}`);

let dataDir: string;
let server: ServerProcess;
/** Gives functions so much time that those which only allocate are never ended for the time they take. */
let patient: ServerProcess;
let client: ConvexHttpClient;
beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), "convex-hogs-"));
  [server, patient] = await Promise.all([start("strict", 3_000), start("patient", 120_000)]);
  client = new ConvexHttpClient(server.url, { logger: false });
}, 300_000);
afterAll(async () => {
  await Promise.all([server.kill("SIGKILL"), patient.kill("SIGKILL")]);
  rmSync(dataDir, { recursive: true, force: true });
});

async function start(name: string, functionMsMax: number): Promise<ServerProcess> {
  const started = await startProcess(join(dataDir, name), 0, undefined, {
    CONVEX_FUNCTION_MS_MAX: String(functionMsMax),
    CONVEX_CALL_MEMORY_BYTES_MAX: String(256 * 1024 * 1024),
  });
  await deployHogs(started);
  return started;
}

const deployHogs = ({ url }: ServerProcess) =>
  deployFixture({ url, adminKey: ADMIN_KEY }, `${import.meta.dir}/../../fixtures/hogs/convex`);

type Line = { event: string; reason?: string; suspects?: string[]; path?: string; wallMs?: number };
const logLines = async ({ logFile }: ServerProcess): Promise<Line[]> =>
  (await Bun.file(logFile).text())
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Line);
const endedEngines = async (of: ServerProcess) =>
  (await logLines(of)).filter(({ event }) => event === "engine.ended");

async function until(isTrue: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await isTrue())) await Bun.sleep(10);
}

/** Resolves when functions are answered again; an engine that starts on a busy machine may take longer than a request waits for it. */
const isBack = ({ url }: ServerProcess) =>
  until(() =>
    new ConvexHttpClient(url, { logger: false }).query(query("marks")).then(
      (marks) => Array.isArray(marks),
      () => false,
    ),
  );

/** Keeps a socket open that watches the marks, and says how often it was away. */
function watchMarks({ url }: ServerProcess) {
  const socket = new ConvexClient(url, { logger: false });
  let seen: string[] = [];
  let drops = 0;
  let isUp = true;
  socket.onUpdate(query("marks"), {}, (marks: string[]) => {
    seen = marks;
  });
  socket.subscribeToConnectionState(({ isWebSocketConnected }) => {
    if (isUp && !isWebSocketConnected) drops++;
    isUp = isWebSocketConnected;
  });
  return { socket, seen: () => seen, drops: () => drops };
}

test("an endless query or mutation fails alone: the engine and everybody's sockets go on", async () => {
  const before = (await endedEngines(server)).length;
  const watcher = watchMarks(server);
  await client.mutation(mutation("mark"), { name: "before" });
  await until(() => watcher.seen().includes("before"));
  const drops = watcher.drops();
  for (const call of [
    () => client.query(query("loopInQuery"), { n: 1 }),
    () => client.mutation(mutation("loopInMutation")),
    () => client.mutation(mutation("loopOverDatabase")),
    () => watcher.socket.mutation(mutation("loopInMutation"), {}),
  ]) {
    await expect(call()).rejects.toThrow("Function execution timed out");
  }
  await client.mutation(mutation("mark"), { name: "after" });
  await until(() => watcher.seen().includes("after"));
  expect(watcher.drops()).toBe(drops);
  expect(watcher.seen()).not.toContain("loop");
  expect((await endedEngines(server)).length).toBe(before);
  await watcher.socket.close();
}, 300_000);

test("a gigabyte ends with an error for that call; who waits gets an answer, and a socket comes back", async () => {
  const client = new ConvexHttpClient(patient.url, { logger: false });
  const watcher = watchMarks(patient);
  await client.mutation(mutation("mark"), { name: "first" });
  await until(() => watcher.seen().length > 0);
  const hog = client.query(query("allocate"));
  const waiting = client.mutation(mutation("mark"), { name: "waited" }, { skipQueue: true });
  // Over the socket: not answered before the end of the engine, sent again by the client, applied once.
  const resent = watcher.socket.mutation(mutation("mark"), { name: "resent" });
  await expect(hog).rejects.toThrow("ran out of memory");
  await waiting;
  await resent;
  await until(() => watcher.seen().includes("resent"));
  const marks = (await client.query(query("marks"))) as string[];
  expect(marks.filter((name) => name === "waited")).toHaveLength(1);
  expect(marks.filter((name) => name === "resent")).toHaveLength(1);
  await watcher.socket.close();
}, 300_000);

test("the same call again is refused at once, and does not end another engine", async () => {
  const client = new ConvexHttpClient(patient.url, { logger: false });
  expect((await endedEngines(patient)).at(-1)).toMatchObject({
    reason: "memory",
    suspects: ["query hogs:allocate"],
  });
  const ended = (await endedEngines(patient)).length;
  await expect(client.query(query("allocate"))).rejects.toThrow("is refused for another");
  expect((await endedEngines(patient)).length).toBe(ended);
}, 300_000);

test("an action that loops or allocates for ever ends with a clear error", async () => {
  await expect(client.action(action("loopInAction"))).rejects.toThrow("Function execution timed out");
  await isBack(server);
  await expect(client.action(action("allocateInAction"))).rejects.toThrow(/ran out of memory|timed out/);
  await isBack(server);
}, 300_000);

test("a deploy gives refused functions another chance", async () => {
  await isBack(server);
  await deployHogs(server);
  const endless = client.action(action("loopInAction"));
  await expect(endless).rejects.toThrow("Function execution timed out");
  await expect(endless).rejects.not.toThrow("refused");
}, 300_000);

test("a live query that ends the engine does not end it again when its client comes back", async () => {
  const socket = new ConvexClient(patient.url, { logger: false });
  const before = (await endedEngines(patient)).length;
  let failure: Error | undefined;
  await deployHogs(patient);
  socket.onUpdate(
    query("allocate"),
    {},
    () => {},
    (error) => {
      failure = error;
    },
  );
  await until(() => failure !== undefined);
  expect(failure?.message).toContain("is refused for another");
  expect((await endedEngines(patient)).length).toBe(before + 1);
  await socket.close();
}, 300_000);

test("a call that is only slow is logged with the time it took", async () => {
  const quick = await startProcess(mkdtempSync(join(dataDir, "slow-")), 0, undefined, {
    CONVEX_FUNCTION_MS_MAX: "60000",
  });
  try {
    await deployFixture(
      { url: quick.url, adminKey: ADMIN_KEY },
      `${import.meta.dir}/../../fixtures/hogs/convex`,
    );
    expect(await new ConvexHttpClient(quick.url).query(query("slow"), { turns: 100_000_000 })).toBe(true);
    const slow = async () =>
      (await Bun.file(quick.logFile).text()).split("\n").find((line) => line.includes("function.slow"));
    await until(async () => (await slow())?.endsWith("}") === true);
    expect(await slow()).toMatch(/"path":"hogs:slow".*"wallMs":\d{3,}.*"cpuMs":\d+/);
  } finally {
    await quick.kill("SIGTERM");
  }
}, 300_000);

test("an engine that dies for another reason is started again, and callers learn to come back", async () => {
  await isBack(server);
  const before = (await endedEngines(server)).length;
  const engine = await engineOf(server);
  process.kill(engine, "SIGKILL");
  await until(async () => (await endedEngines(server)).length > before);
  expect((await endedEngines(server)).at(-1)).toMatchObject({ reason: "crash" });
  await isBack(server);
}, 300_000);

test("no engine outlives its parent, not even one that hears nobody", async () => {
  const other = await startProcess(mkdtempSync(join(dataDir, "orphan-")));
  await deployFixture(
    { url: other.url, adminKey: ADMIN_KEY },
    `${import.meta.dir}/../../fixtures/hogs/convex`,
  );
  const engine = await engineOf(other);
  const endless = new ConvexHttpClient(other.url, { logger: false })
    .action(action("loopInAction"))
    .catch(() => "gone");
  await Bun.sleep(200);
  await other.kill("SIGKILL");
  expect(await endless).toBe("gone");
  await until(() => !isAlive(engine));
}, 300_000);

test("functions learn who called, and nothing of the door", async () => {
  const names = (await (await fetch(`${server.siteUrl}/headers`)).json()) as string[];
  expect(names.filter((name) => name.startsWith("x-door"))).toEqual([]);
});

async function engineOf({ pid }: ServerProcess): Promise<number> {
  const children = (await Bun.file(`/proc/${pid}/task/${pid}/children`).text()).trim().split(" ");
  return Number(children[0]);
}

/** One that ended stays in the table until its parent asks for it, and in some containers the parent of orphans never does. */
function isAlive(pid: number): boolean {
  try {
    return !/^State:\tZ/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch (error) {
    if (error instanceof Error && "code" in error && ["ENOENT", "ESRCH"].includes(String(error.code)))
      return false;
    throw error;
  }
}
