import { afterEach, expect, test } from "bun:test";
import { mutationGeneric } from "convex/server";
import { Deployment, type DeploymentOptions, ROOT } from "../deployment.ts";
import { Retries } from "./retries.ts";
import { WriteRate } from "./write-rate.ts";

const runs: number[] = [];
const functions = {
  setUp: mutationGeneric({ args: {}, handler: async (ctx) => await ctx.db.insert("counters", { n: 0 }) }),
  increment: mutationGeneric({
    args: {},
    handler: async (ctx) => {
      const [counter] = await ctx.db.query("counters").collect();
      if (counter === undefined) throw new Error("There is no counter");
      const n = Number(counter.n) + 1;
      runs.push(n);
      await ctx.db.patch(counter._id, { n });
      return n;
    },
  }),
  note: mutationGeneric({ args: {}, handler: async (ctx) => void (await ctx.db.insert("notes", {})) }),
};

let deployment: Deployment;
const opened: Deployment[] = [];
afterEach(async () => {
  runs.length = 0;
  for (const each of opened.splice(0)) await each.stop();
});

const logged: [string, Record<string, unknown>][] = [];
function open(options: Partial<DeploymentOptions> = {}): Deployment {
  logged.length = 0;
  deployment = new Deployment({
    dataDir: null,
    synchronous: "OFF",
    instanceName: "test",
    instanceSecret: "00",
    now: () => 1_700_000_000_000,
    log: (event, fields) => logged.push([event, fields]),
    ...options,
  });
  opened.push(deployment);
  deployment.components.set(ROOT, { path: ROOT, schema: null, modules: new Map([["f", functions]]) });
  return deployment;
}

const metadata = { requestId: "", ip: null, userAgent: null, scheduledFunctionId: null, authToken: null };
async function run(path: string): Promise<unknown> {
  const outcome = await deployment.runner.mutation({
    component: ROOT,
    target: path,
    args: {},
    identity: null,
    metadata,
    access: "any",
  });
  if (!outcome.isSuccess) throw outcome.failure;
  return JSON.parse(outcome.value);
}

test("in retry mode a mutation runs up to four times, and takes effect once", async () => {
  open({ retryPercent: 100 });
  await run("f:setUp");
  expect(await run("f:increment")).toBe(1);
  expect(runs).toEqual([1, 1, 1, 1]);
  expect(await run("f:increment")).toBe(2);
});

test("retries come at about the share asked for, and the same ones every time", () => {
  const sequence = () => {
    const retries = new Retries(30);
    return Array.from({ length: 1000 }, () => retries.isToRunAgain(1));
  };
  expect(sequence().filter(Boolean).length).toBeWithin(250, 350);
  expect(sequence()).toEqual(sequence());
  expect(new Retries(100).isToRunAgain(4)).toBe(false);
  expect(new Retries(0).isToRunAgain(1)).toBe(false);
});

test("mutations that were under way together and share a document are named, once", async () => {
  open();
  const id = await run("f:setUp");
  await run("f:increment");
  await run("f:increment");
  expect(logged).toEqual([]);
  await Promise.all([run("f:increment"), run("f:increment"), run("f:increment")]);
  expect(logged).toEqual([
    [
      "mutations.would-conflict",
      { mutation: "f:increment", other: "f:increment", documents: [`counters/${String(id)}`] },
    ],
  ]);
});

test("mutations that only insert beside each other are not named", async () => {
  open();
  await run("f:note");
  await Promise.all([run("f:note"), run("f:note"), run("f:note")]);
  expect(logged).toEqual([]);
});

test("what exceeds the rate of writing is refused until the second is over", async () => {
  let nowMs = 1_700_000_000_000;
  open({ writeBytesPerSecondMax: 100, now: () => nowMs });
  await run("f:setUp");
  await run("f:note");
  await expect(Promise.all([run("f:note"), run("f:note")])).rejects.toMatchObject({ code: "TooManyWrites" });
  nowMs += 1000;
  await run("f:note");
  const anyRate = new WriteRate(0);
  for (let i = 0; i < 100; i++) anyRate.take(2 ** 30, nowMs);
});
