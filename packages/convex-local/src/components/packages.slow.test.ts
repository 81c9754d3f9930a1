import { afterAll, beforeAll, expect, test } from "bun:test";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { ConvexHttpClient } from "convex/browser";
import { makeFunctionReference } from "convex/server";
import { ADMIN_KEY, type ServerProcess, startProcess } from "../../fixtures/process.ts";
import { Random } from "../../fixtures/random.ts";

const root = resolve(import.meta.dir, "../../../..");
let directory = "";
let app = "";
let server: ServerProcess;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "convex-packages-"));
  app = join(directory, "app");
  cpSync(resolve(import.meta.dir, "../../fixtures/packages"), app, { recursive: true });
  symlinkSync(join(root, "node_modules"), join(app, "node_modules"));
  mkdirSync(join(directory, "data"));
  mkdirSync(join(directory, "bin"));
  symlinkSync(process.execPath, join(directory, "bin", "bun"));
  server = await startProcess(join(directory, "data"));
  await convex("deploy", "--typecheck", "disable");
}, 300_000);
afterAll(async () => {
  await server.kill("SIGTERM");
  rmSync(directory, { recursive: true, force: true });
});

/** Runs the official CLI. Throws what it printed when it fails. */
async function convex(...args: string[]): Promise<string> {
  const child = Bun.spawn(
    [process.execPath, "--bun", join(root, "node_modules/convex/bin/main.js"), ...args],
    {
      cwd: app,
      env: {
        PATH: join(directory, "bin"),
        HOME: directory,
        CI: "1",
        CONVEX_SELF_HOSTED_URL: server.url,
        CONVEX_SELF_HOSTED_ADMIN_KEY: ADMIN_KEY,
      },
      stdout: "pipe",
      stderr: "pipe",
    },
  );
  const [stdout, stderr, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  if (code !== 0) throw new Error(`convex ${args.join(" ")} ended with ${code}: ${stderr}${stdout}`);
  return stdout.trim();
}

type Args = Record<string, unknown>;
const query = <T>(path: string, args: Args = {}) =>
  new ConvexHttpClient(server.url, { logger: false }).query(
    makeFunctionReference<"query", Args, T>(path),
    args,
  );
const mutation = <T>(path: string, args: Args = {}) =>
  new ConvexHttpClient(server.url, { logger: false }).mutation(
    makeFunctionReference<"mutation", Args, T>(path),
    args,
  );
const action = <T>(path: string, args: Args = {}) =>
  new ConvexHttpClient(server.url, { logger: false }).action(
    makeFunctionReference<"action", Args, T>(path),
    args,
  );

test("generated code knows the functions of components and their types", async () => {
  const api = readFileSync(join(app, "convex/_generated/api.d.ts"), "utf8");
  expect(api).toContain(
    'import("@convex-dev/aggregate/_generated/component.js").ComponentApi<"aggregateByOwner">',
  );
  const file = join(app, "convex/typed.ts");
  const typed = (args: string) => `import { components } from "./_generated/api.js";
import { mutation } from "./_generated/server.js";
export const clear = mutation({
  args: {},
  handler: (ctx) => ctx.runMutation(components.rateLimiter.lib.resetRateLimit, ${args}),
});
`;
  try {
    writeFileSync(file, typed("{ name: 5 }"));
    await expect(convex("codegen", "--typecheck", "enable")).rejects.toThrow(/typed\.ts.*Found 1 error in/s);
  } finally {
    rmSync(file);
  }
  // TypeScript alone takes 15 s of processor time.
}, 300_000);

type Stats = {
  count: number;
  sum: number;
  atLeast: number;
  at: number | null;
  indexOf: number;
  min: number | null;
  max: number | null;
  ofOwner: number;
};

test("aggregate counts, sums and finds places as sorting the documents would", async () => {
  const random = new Random(7);
  const model = new Map<string, { owner: string; score: number }>();
  const owners = ["ada", "grace", "edsger"];
  for (let round = 0; round < 120; round++) {
    const id = model.size > 0 ? random.pick([...model.keys()]) : undefined;
    const move = random.below(5);
    if (id === undefined || move < 3) {
      const score = { owner: random.pick(owners), score: random.below(50) };
      model.set(await mutation<string>("scores:add", score), score);
    } else if (move === 3) {
      const score = random.below(50);
      await mutation("scores:change", { id, score });
      model.set(id, { owner: model.get(id)?.owner ?? "", score });
    } else {
      await mutation("scores:remove", { id });
      model.delete(id);
    }
    if (round % 6 !== 0) continue;
    const scores = [...model.values()].map(({ score }) => score).sort((left, right) => left - right);
    const owner = random.pick(owners);
    const asked = { owner, at: random.below(60), score: random.below(50) };
    expect(await query<Stats>("scores:stats", asked)).toEqual({
      count: scores.length,
      sum: scores.reduce((sum, score) => sum + score, 0),
      atLeast: scores.filter((score) => score >= asked.score).length,
      at: scores[asked.at] ?? null,
      indexOf: scores.filter((score) => score < asked.score).length,
      min: scores[0] ?? null,
      max: scores.at(-1) ?? null,
      ofOwner: [...model.values()].filter((one) => one.owner === owner).length,
    });
  }
  const before = await query<Stats>("scores:stats", { owner: "ada", at: 0, score: 0 });
  await expect(mutation("scores:addAndThrow")).rejects.toThrow("on purpose");
  expect(await query<Stats>("scores:stats", { owner: "ada", at: 0, score: 0 })).toEqual(before);
}, 300_000);

test("rate limiter lets as many through as the bucket holds, and says when to come again", async () => {
  type Taken = { ok: boolean; retryAfter?: number };
  const taken = await Promise.all(
    Array.from({ length: 5 }, () => mutation<Taken>("limits:take", { name: "bucket", key: "k" })),
  );
  // The bucket fills by one a second; five calls may take that long on a busy machine.
  expect(taken.filter(({ ok }) => ok).length).toBeWithin(3, 5);
  const refused = taken.find(({ ok }) => !ok);
  expect(refused?.retryAfter).toBeWithin(1, 3001);
  expect(await mutation<Taken>("limits:take", { name: "bucket", key: "other" })).toMatchObject({ ok: true });
}, 300_000);

type End = { name: string; kind: string; value: unknown };
/** Waits for the ends of work with these names. */
async function endsOf(names: string[]): Promise<End[]> {
  for (const deadline = Date.now() + 120_000; Date.now() < deadline; await Bun.sleep(20)) {
    const ends = (await query<End[]>("work:ends")).filter(({ name }) => names.includes(name));
    if (ends.length >= names.length) return ends.sort((left, right) => (left.name < right.name ? -1 : 1));
  }
  throw new Error(`Work did not end: ${names.join(", ")}`);
}

test("workpool runs what is enqueued, at most two at once, and tells how each has ended", async () => {
  const names = Array.from({ length: 8 }, (_, index) => `work-${index}`);
  await mutation("work:enqueue", { names, failures: 0, retry: false });
  expect(await endsOf(names)).toEqual(names.map((name) => ({ name, kind: "success", value: 1 })));
  expect(await query<number>("work:parallelism")).toBeWithin(1, 3);
}, 300_000);

test("workpool tries again what fails, as often as it is told to", async () => {
  await mutation("work:enqueue", { names: ["second-try"], failures: 1, retry: true });
  await mutation("work:enqueue", { names: ["never"], failures: 9, retry: true });
  await mutation("work:enqueue", { names: ["once"], failures: 1, retry: false });
  expect(await endsOf(["second-try", "never", "once"])).toEqual([
    { name: "never", kind: "failed", value: null },
    { name: "once", kind: "failed", value: null },
    { name: "second-try", kind: "success", value: 2 },
  ]);
}, 300_000);

test("workpool cancels what has not started", async () => {
  const [id] = await mutation<string[]>("work:enqueue", {
    names: ["later"],
    failures: 0,
    retry: false,
    runAfter: 3600_000,
  });
  expect(await query<unknown>("work:status", { id })).toMatchObject({ state: "pending" });
  await mutation("work:cancel", { id });
  expect(await endsOf(["later"])).toMatchObject([{ kind: "canceled" }]);
  expect(await query<unknown>("work:status", { id })).toMatchObject({ state: "finished" });
}, 300_000);

test("the CLI reaches into components, clients do not", async () => {
  const inspect = ["run", "--component", "aggregate", "inspect:listTrees", "{}"];
  expect(JSON.parse(await convex(...inspect))).toBeInstanceOf(Array);
  expect(await convex("data", "--component", "workpool/batchWorker")).toContain("workers");
  const response = await fetch(`${server.url}/api/query`, {
    method: "POST",
    body: JSON.stringify({ path: "inspect:listTrees", args: {}, componentPath: "aggregate" }),
  });
  expect(response.status).toBe(403);
  await expect(query("inspect:listTrees")).rejects.toThrow(
    "Could not find public function for 'inspect:listTrees'",
  );
}, 300_000);

test("a use node action has Node's modules", async () => {
  expect(await action<unknown>("machine:describe", { text: "x" })).toEqual({
    hash: "9dd4e461268c8034f5c8564e155c67a6",
    hasFiles: true,
  });
});

test("a package that would have to be installed is refused with what to do", async () => {
  const added = {
    "convex.json": JSON.stringify({ node: { externalPackages: ["zod"] } }),
    "package.json": JSON.stringify({ type: "module", dependencies: { convex: "1.48.0", zod: "4.6.7" } }),
    "convex/external.ts": `"use node";
import { z } from "zod";
import { actionGeneric } from "convex/server";
export const check = actionGeneric({ args: {}, handler: async () => typeof z });
`,
  };
  const before = readFileSync(join(app, "package.json"), "utf8");
  try {
    for (const [name, text] of Object.entries(added)) writeFileSync(join(app, name), text);
    await expect(convex("deploy", "--typecheck", "disable")).rejects.toThrow(
      'Remove "node.externalPackages" from convex.json',
    );
  } finally {
    for (const name of Object.keys(added)) rmSync(join(app, name));
    writeFileSync(join(app, "package.json"), before);
  }
}, 300_000);

test("search, vectors, components and their data are there after a restart", async () => {
  const pages = [
    { text: "how to warm up a sending address", site: "docs", embedding: [1, 0, 0] },
    { text: "warming plates for the kitchen", site: "shop", embedding: [0, 1, 0] },
    { text: "bounces and what they mean", site: "docs", embedding: [0.9, 0.1, 0] },
  ];
  for (const page of pages) await mutation("pages:add", page);
  const before = await query<Stats>("scores:stats", { owner: "ada", at: 0, score: 0 });
  expect(await server.kill("SIGTERM")).toBe(0);
  server = await startProcess(join(directory, "data"));
  expect(await query<Stats>("scores:stats", { owner: "ada", at: 0, score: 0 })).toEqual(before);
  expect(await query<string[]>("pages:search", { text: "warm" })).toHaveLength(2);
  expect(await query<string[]>("pages:search", { text: "warm", site: "docs" })).toEqual([
    pages[0]?.text as string,
  ]);
  const similar = await action<{ _score: number }[]>("pages:similar", { vector: [1, 0, 0] });
  expect(similar.map(({ _score }) => Math.round(_score * 1000) / 1000)).toEqual([1, 0.994]);
  await mutation("work:enqueue", { names: ["after-restart"], failures: 0, retry: false });
  expect(await endsOf(["after-restart"])).toMatchObject([{ kind: "success" }]);
}, 300_000);
