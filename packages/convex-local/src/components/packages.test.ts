import { expect, test } from "bun:test";
import { dirname, join, resolve } from "node:path";
import { makeFunctionReference } from "convex/server";
import schema from "../../fixtures/packages/convex/schema.ts";
import type { AnySchema } from "../testing/modules.ts";
import { convexTest, modulesIn } from "../testing.ts";

const APP = resolve(import.meta.dir, "../../fixtures/packages/convex");
const START_MS = Date.parse("2026-03-01T00:00:00Z");

/** The fixture app with published components, on a clock of the test. */
async function start() {
  const t = convexTest(schema, modulesIn(APP), { now: () => START_MS });
  for (const [path, packageName] of [
    ["aggregate", "aggregate"],
    ["aggregateByOwner", "aggregate"],
    ["rateLimiter", "rate-limiter"],
    ["workpool", "workpool"],
  ] as const) {
    const folder = dirname(Bun.resolveSync(`@convex-dev/${packageName}/convex.config.js`, APP));
    const worker = dirname(Bun.resolveSync("@convex-dev/batch-worker/convex.config.js", folder));
    t.registerComponent(path, await schemaIn(folder), modulesIn(folder));
    t.registerComponent(`${path}/batchWorker`, await schemaIn(worker), modulesIn(worker));
  }
  return t;
}

const schemaIn = async (folder: string) =>
  ((await import(join(folder, "schema.js"))) as { default: AnySchema }).default;

type Args = Record<string, unknown>;
const query = <T>(path: string) => makeFunctionReference<"query", Args, T>(path);
const mutation = <T>(path: string) => makeFunctionReference<"mutation", Args, T>(path);
type Taken = { ok: boolean; retryAfter?: number };

test("a token bucket fills as the clock runs", async () => {
  const t = await start();
  const take = (key: string) => t.mutation(mutation<Taken>("limits:take"), { name: "bucket", key });
  for (let token = 0; token < 3; token++) expect(await take("k")).toMatchObject({ ok: true });
  // One token a second.
  expect(await take("k")).toMatchObject({ ok: false, retryAfter: 1000 });
  expect(await take("other")).toMatchObject({ ok: true });
  t.advance(400);
  expect(await take("k")).toMatchObject({ ok: false, retryAfter: 600 });
  t.advance(600);
  expect(await take("k")).toMatchObject({ ok: true });
  expect(await take("k")).toMatchObject({ ok: false });
  t.advance(3600_000);
  for (let token = 0; token < 3; token++) expect(await take("k")).toMatchObject({ ok: true });
  expect(await take("k")).toMatchObject({ ok: false });
});

test("a fixed window opens again at its next start", async () => {
  const t = await start();
  const args = { name: "window", key: "k" };
  const take = () => t.mutation(mutation<Taken>("limits:take"), args);
  t.advance(15_000);
  expect(await take()).toMatchObject({ ok: true });
  expect(await take()).toMatchObject({ ok: true });
  expect(await take()).toMatchObject({ ok: false, retryAfter: 45_000 });
  expect(await t.query(query<Taken>("limits:check"), args)).toMatchObject({ ok: false });
  await expect(t.mutation(mutation("limits:takeOrThrow"), args)).rejects.toMatchObject({
    data: { kind: "RateLimited", name: "window", retryAfter: 45_000 },
  });
  t.advance(45_000);
  expect(await t.query(query<Taken>("limits:check"), args)).toMatchObject({ ok: true });
  expect(await take()).toMatchObject({ ok: true });
  await t.mutation(mutation("limits:reset"), args);
  expect(await take()).toMatchObject({ ok: true });
  expect(await take()).toMatchObject({ ok: true });
  expect(await take()).toMatchObject({ ok: false });
});

test("an aggregate follows its table, and a mutation that throws leaves it alone", async () => {
  const t = await start();
  type Stats = { count: number; sum: number; at: number | null; indexOf: number; ofOwner: number };
  const stats = () => t.query(query<Stats>("scores:stats"), { owner: "ada", at: 1, score: 20 });
  const add = (owner: string, score: number) => t.mutation(mutation<string>("scores:add"), { owner, score });
  const first = await add("ada", 10);
  await add("grace", 20);
  const third = await add("ada", 30);
  expect(await stats()).toMatchObject({ count: 3, sum: 60, at: 20, indexOf: 1, ofOwner: 2 });
  await t.mutation(mutation("scores:change"), { id: first, score: 25 });
  expect(await stats()).toMatchObject({ count: 3, sum: 75, at: 25, indexOf: 0, ofOwner: 2 });
  await t.mutation(mutation("scores:remove"), { id: third });
  await expect(t.mutation(mutation("scores:addAndThrow"), {})).rejects.toThrow("on purpose");
  expect(await stats()).toMatchObject({ count: 2, sum: 45, at: 25, indexOf: 0, ofOwner: 1 });
});

test("a workpool runs, retries and cancels as the clock of the test runs", async () => {
  const t = await start();
  const enqueue = (args: Args) => t.mutation(mutation<string[]>("work:enqueue"), args);
  await enqueue({ names: ["a", "b", "c"], failures: 0, retry: false });
  await enqueue({ names: ["second-try"], failures: 1, retry: true });
  await enqueue({ names: ["never"], failures: 9, retry: true });
  const [later = ""] = await enqueue({ names: ["later"], failures: 0, retry: false, runAfter: 3600_000 });
  await t.mutation(mutation("work:cancel"), { id: later });
  await t.finishAllScheduledFunctions();
  const ends = await t.query(query<{ name: string; kind: string; value: unknown }[]>("work:ends"), {});
  expect(ends.sort((left, right) => (left.name < right.name ? -1 : 1))).toEqual([
    { name: "a", kind: "success", value: 1 },
    { name: "b", kind: "success", value: 1 },
    { name: "c", kind: "success", value: 1 },
    { name: "later", kind: "canceled", value: null },
    { name: "never", kind: "failed", value: null },
    { name: "second-try", kind: "success", value: 2 },
  ]);
});
