import { afterEach, expect, test } from "bun:test";
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { actionGeneric, mutationGeneric } from "convex/server";
import { Deployment, ROOT } from "../deployment.ts";
import { JOBS_TABLE } from "./scheduler.ts";

let nowMs = 1_700_000_000_000;
let dataDir = "";
let deployment: Deployment;
afterEach(async () => {
  await deployment.stop();
  rmSync(dataDir, { recursive: true, force: true });
});

const runs: string[] = [];
let actionEnds = () => {};
const functions = {
  good: mutationGeneric({ args: {}, handler: async () => void runs.push("good") }),
  bad: mutationGeneric({
    args: {},
    handler: async (ctx) => {
      await ctx.db.insert("traces", {});
      throw new Error("on purpose");
    },
  }),
  slow: actionGeneric({
    args: {},
    handler: async () => {
      runs.push("slow");
      await new Promise<void>((resolve) => {
        actionEnds = resolve;
      });
    },
  }),
};

function open(): Deployment {
  const opened = new Deployment({
    dataDir,
    synchronous: "OFF",
    instanceName: "test",
    instanceSecret: "00",
    now: () => nowMs,
    log: () => {},
  });
  opened.components.set(ROOT, { path: ROOT, schema: null, modules: new Map([["jobs", functions]]) });
  return opened;
}

const schedule = (path: string, dueMs: number) =>
  deployment.runner.transact((transaction) =>
    deployment.scheduler.schedule(transaction, ROOT, { component: ROOT, path }, {}, dueMs),
  );

async function stateOf(id: string) {
  const text = await deployment.runner.transact((transaction) => transaction.get(ROOT, id, JOBS_TABLE, true));
  return (JSON.parse(text ?? "null") as { state: { kind: string; error?: string } } | null)?.state;
}

test("a mutation that throws is failed for good, and leaves nothing but its error", async () => {
  dataDir = mkdtempSync(join(tmpdir(), "convex-jobs-"));
  deployment = open();
  const id = await schedule("jobs:bad", nowMs);
  deployment.scheduler.startDue();
  await deployment.scheduler.settle();
  expect(await stateOf(id)).toEqual({ kind: "failed", error: "Uncaught Error: on purpose" });
  expect(deployment.store.table(ROOT, "traces")).toBeUndefined();
  expect(deployment.scheduler.nextDueMs()).toBeUndefined();
});

test("a job whose function is gone fails with a reason", async () => {
  dataDir = mkdtempSync(join(tmpdir(), "convex-jobs-"));
  deployment = open();
  const id = await schedule("jobs:gone", nowMs);
  deployment.scheduler.startDue();
  await deployment.scheduler.settle();
  expect((await stateOf(id))?.error).toContain("Could not find function for 'jobs:gone'");
});

test("an action that a stop interrupted has failed and does not run again; a later job waits for its time", async () => {
  dataDir = mkdtempSync(join(tmpdir(), "convex-jobs-"));
  deployment = open();
  runs.length = 0;
  const interrupted = await schedule("jobs:slow", nowMs);
  const later = await schedule("jobs:good", nowMs + 60_000);
  deployment.scheduler.startDue();
  while (!runs.includes("slow")) await Bun.sleep(1);
  // What a crash would leave: the files as they are while the action has not ended.
  const image = mkdtempSync(join(tmpdir(), "convex-jobs-"));
  cpSync(dataDir, image, { recursive: true });
  actionEnds();
  await deployment.stop();
  rmSync(dataDir, { recursive: true, force: true });
  dataDir = image;

  deployment = open();
  await deployment.scheduler.start();
  expect(await stateOf(interrupted)).toMatchObject({
    kind: "failed",
    error: expect.stringContaining("restart"),
  });
  expect(runs).toEqual(["slow"]);
  nowMs += 60_000;
  deployment.scheduler.startDue();
  await deployment.scheduler.settle();
  expect(await stateOf(later)).toEqual({ kind: "success" });
  expect(runs).toEqual(["slow", "good"]);
});

test("ended jobs are forgotten after a week", async () => {
  dataDir = mkdtempSync(join(tmpdir(), "convex-jobs-"));
  deployment = open();
  const id = await schedule("jobs:good", nowMs);
  deployment.scheduler.startDue();
  await deployment.scheduler.settle();
  await deployment.scheduler.sweep();
  expect(await stateOf(id)).toEqual({ kind: "success" });
  nowMs += 8 * 24 * 3600_000;
  await deployment.scheduler.sweep();
  expect(await stateOf(id)).toBeUndefined();
});
