import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { pushOf } from "../../fixtures/push.ts";
import type { Identity } from "../auth/identity.ts";
import { Deployment, ROOT } from "../deployment.ts";
import { routeHttpAction } from "../http/router.ts";
import { StartPush } from "../push/request.ts";
import type { Json } from "../values/wire.ts";

const APP = resolve(import.meta.dir, "../../fixtures/components/convex");
const DEFINITIONS = ["../counter", "../journal"];

let push: StartPush;
let directory = "";
const running: Deployment[] = [];
beforeAll(async () => {
  push = StartPush.parse(await pushOf(APP, DEFINITIONS));
  directory = mkdtempSync(join(tmpdir(), "convex-components-"));
});
afterEach(async () => {
  for (const deployment of running.splice(0)) await deployment.stop();
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

let clockMs = Date.parse("2026-03-01T00:00:00Z");

async function startDeployment(dataDir: string | null = null): Promise<Deployment> {
  const deployment = new Deployment({
    dataDir,
    synchronous: "OFF",
    instanceName: "test",
    instanceSecret: "00".repeat(32),
    now: () => clockMs,
    log: () => {},
  });
  running.push(deployment);
  await deployment.start();
  return deployment;
}

async function deploy(deployment: Deployment, request: StartPush) {
  const start = await deployment.pushes.start(request);
  const id = start.schemaChange.schemaIds[ROOT] ?? "";
  return { start, failure: deployment.pushes.check(id), finish: () => deployment.pushes.finish(id, false) };
}

async function deployed(): Promise<Deployment> {
  const deployment = await startDeployment();
  deployment.environment.update([{ name: "SECRET", value: "s3cret" }]);
  await (await deploy(deployment, push)).finish();
  return deployment;
}

const USER: Identity = { subject: "ada", issuer: "https://x.test", tokenIdentifier: "https://x.test|ada" };
const METADATA = { requestId: "r", ip: null, userAgent: null, scheduledFunctionId: null, authToken: null };
type Kind = "query" | "mutation" | "action";
async function run(deployment: Deployment, kind: Kind, target: string, args: Json = {}, component = ROOT) {
  const call = { component, target, args, identity: USER, metadata: METADATA, access: "any" as const };
  const outcome = await deployment.runner[kind](call);
  if (!outcome.isSuccess) throw outcome.failure;
  return JSON.parse(outcome.value) as Json;
}

test("the same definition in two places keeps its data apart", async () => {
  const deployment = await deployed();
  await run(deployment, "mutation", "app:increment", { which: "left", by: 2 });
  await run(deployment, "mutation", "app:increment", { which: "left", by: 3 });
  await run(deployment, "mutation", "app:increment", { which: "right", by: 10 });
  expect(await run(deployment, "query", "app:count", { which: "left" })).toBe(5);
  expect(await run(deployment, "query", "app:count", { which: "right" })).toBe(10);
  expect([...deployment.components.keys()]).toEqual(["", "left", "left/journal", "right", "right/journal"]);
});

/** What the hourly job of the journals writes as soon as it is deployed comes at a time of its own. */
const written = (entries: Json) => (entries as string[]).filter((text) => text !== "an hour");

test("a component inside a component has its own tables", async () => {
  const deployment = await deployed();
  await run(deployment, "mutation", "app:increment", { which: "left", by: 2 });
  expect(written(await run(deployment, "query", "app:journal"))).toEqual(["+2"]);
  expect(written(await run(deployment, "query", "entries:list", {}, "left/journal"))).toEqual(["+2"]);
  expect(written(await run(deployment, "query", "entries:list", {}, "right/journal"))).toEqual([]);
});

test("a mutation and what it calls in components stand or fall together", async () => {
  const deployment = await deployed();
  await run(deployment, "mutation", "app:noteAndIncrement", { text: "one", fails: false });
  await expect(
    run(deployment, "mutation", "app:noteAndIncrement", { text: "two", fails: true }),
  ).rejects.toThrow("on purpose");
  expect(await run(deployment, "query", "app:notes")).toEqual(["one"]);
  expect(await run(deployment, "query", "app:count", { which: "left" })).toBe(1);
  expect(written(await run(deployment, "query", "app:journal"))).toEqual(["+1"]);
});

test("a component that throws leaves nothing behind, and its caller can go on", async () => {
  const deployment = await deployed();
  expect(await run(deployment, "mutation", "app:incrementBadly")).toContain("after writing");
  expect(await run(deployment, "query", "app:notes")).toEqual(["kept"]);
  expect(await run(deployment, "query", "app:count", { which: "left" })).toBe(0);
  expect(written(await run(deployment, "query", "app:journal"))).toEqual([]);
});

test("a live query runs again when a component that it read has changed, and for no other", async () => {
  const deployment = await deployed();
  const call = { component: ROOT, target: "app:count", args: { which: "left" }, identity: null };
  let stale = 0;
  const query = deployment.live.watch({ ...call, metadata: METADATA, access: "public" }, null, () => stale++);
  await deployment.executor.run(() => deployment.live.refresh(query));
  await run(deployment, "mutation", "app:increment", { which: "right", by: 1 });
  expect(stale).toBe(0);
  await run(deployment, "mutation", "app:increment", { which: "left", by: 1 });
  expect(stale).toBe(1);
});

test("internal functions of a component are hidden from its parent", async () => {
  const deployment = await deployed();
  await expect(run(deployment, "mutation", "app:reachInside")).rejects.toThrow(
    "Could not find public function for 'counts:reset'",
  );
});

test("paginate is refused in components", async () => {
  const deployment = await deployed();
  await expect(run(deployment, "query", "app:page")).rejects.toThrow("not supported in components");
});

test("a component sees the variables that its parent gives to it, and no others", async () => {
  const deployment = await deployed();
  expect(await run(deployment, "query", "app:environment", { which: "left" })).toEqual({
    LABEL: "the left one",
    KEY: "s3cret",
  });
  expect(await run(deployment, "query", "app:environment", { which: "right" })).toEqual({
    LABEL: "the right one",
  });
  await deployment.updateEnvironment([{ name: "SECRET", value: "changed" }]);
  expect(await run(deployment, "query", "app:environment", { which: "left" })).toMatchObject({
    KEY: "changed",
  });
});

test("the identity of the caller stays in the app", async () => {
  const deployment = await deployed();
  const seen = { app: "ada", component: null };
  expect(await run(deployment, "query", "app:identities")).toEqual(seen);
  expect(await run(deployment, "action", "app:identitiesInAction")).toEqual(seen);
});

test("a function handle of the app works in a component, now and when it is scheduled", async () => {
  const deployment = await deployed();
  await run(deployment, "mutation", "app:callBack", { delayMs: 1000 });
  expect(await run(deployment, "query", "app:notes")).toEqual(["by the app", "by the component"]);
  // The job belongs to the component that has scheduled it, though the app's function runs.
  expect(await run(deployment, "query", "app:jobs")).toEqual({
    app: 0,
    component: [["app.js:note", "pending"]],
  });
  clockMs += 1000;
  deployment.scheduler.startDue();
  await deployment.scheduler.settle();
  expect(await run(deployment, "query", "app:notes")).toContain("by a job of the component");
  expect(await run(deployment, "query", "app:jobs")).toMatchObject({
    component: [["app.js:note", "success"]],
  });
});

test("files of a component are its own", async () => {
  const deployment = await deployed();
  await run(deployment, "action", "app:store");
  expect(await run(deployment, "query", "app:files")).toEqual({ app: 0, component: 1 });
});

test("an id of a component finds nothing in the app, though the first tables of both have one number", async () => {
  const deployment = await deployed();
  await run(deployment, "mutation", "app:increment", { which: "left", by: 1 });
  await run(deployment, "mutation", "app:noteAndIncrement", { text: "one", fails: false });
  expect(await run(deployment, "query", "app:readForeign")).toEqual([null, null]);
});

test("HTTP actions of a component answer under its prefix, the app's elsewhere", async () => {
  const deployment = await deployed();
  await run(deployment, "mutation", "app:increment", { which: "left", by: 7 });
  const ask = async (path: string) => {
    const request = new Request(`http://x.test${path}`);
    const response = await routeHttpAction(deployment, request, { identity: USER, metadata: METADATA });
    return [response.status, await response.text()];
  };
  expect(await ask("/left/count")).toEqual([200, "the left one: 7 at /left/count"]);
  expect(await ask("/left/unknown")).toEqual([404, "No HttpAction routed for /left/unknown"]);
  expect(await ask("/leftover")).toEqual([200, "the app"]);
  expect(await ask("/right/count")).toEqual([200, "the app"]);
});

test("an action in a use-node file has Node's modules, and arguments of at most 5 MiB", async () => {
  const deployment = await deployed();
  expect(await run(deployment, "action", "machine:hash", { text: "x" })).toBe(
    "9dd4e461268c8034f5c8564e155c67a6",
  );
  const text = "x".repeat(5 * 1024 * 1024);
  await expect(run(deployment, "action", "machine:hash", { text })).rejects.toThrow("limit: 5242880 bytes");
});

test("crons of a component run in it", async () => {
  const deployment = await deployed();
  const runDue = async () => {
    await deployment.crons.runDue();
    deployment.scheduler.startDue();
    await deployment.scheduler.settle();
    return await run(deployment, "query", "entries:list", {}, "left/journal");
  };
  expect(await runDue()).toEqual(["an hour"]);
  clockMs += 3600_000;
  expect(await runDue()).toEqual(["an hour", "an hour"]);
});

test("the analysis tells the CLI of components and their public functions", async () => {
  const deployment = await startDeployment();
  const { start } = await deploy(deployment, push);
  expect(Object.keys(start.analysis).sort()).toEqual(["", "../counter", "../journal"]);
  expect(start.analysis[""]?.definition).toMatchObject({
    childComponents: [
      { name: "left", path: "../counter" },
      { name: "right", path: "../counter" },
    ],
    httpMounts: { "/left/": "_reference/childComponent/left" },
  });
  const counts = start.analysis["../counter"]?.definition.exports.branch.find(
    ([name]) => name === "counts",
  )?.[1];
  const leaves = counts?.type === "branch" ? counts.branch.map(([name]) => name) : [];
  expect(leaves).toContain("increment");
  expect(leaves).not.toContain("reset");
  expect(start.app.childComponents.left).toMatchObject({
    componentPath: "left",
    definitionPath: "../counter",
    httpRoutes: { httpModuleRoutes: [{ path: "/count", method: "GET" }], mounts: [] },
    childComponents: { journal: { componentPath: "left/journal" } },
  });
});

test("components, their data and environment come back after a restart", async () => {
  const dataDir = join(directory, "restart");
  const before = await startDeployment(dataDir);
  before.environment.update([{ name: "SECRET", value: "s3cret" }]);
  await (await deploy(before, push)).finish();
  await run(before, "mutation", "app:increment", { which: "left", by: 4 });
  await before.stop();
  running.splice(running.indexOf(before), 1);
  const after = await startDeployment(dataDir);
  expect(await run(after, "query", "app:count", { which: "left" })).toBe(4);
  expect(await run(after, "query", "app:environment", { which: "left" })).toMatchObject({ KEY: "s3cret" });
});

test("a component that a push leaves out is gone, and has its data when it comes back", async () => {
  const deployment = await deployed();
  await run(deployment, "mutation", "app:increment", { which: "left", by: 4 });
  await run(deployment, "mutation", "app:callBack", { delayMs: 1000 });
  const plain = StartPush.parse({
    ...push,
    appDefinition: { ...push.appDefinition, definition: null, dependencies: [] },
    componentDefinitions: [],
  });
  const unmounted = await (await deploy(deployment, plain)).finish();
  expect(unmounted.componentDiffs["left/journal"]).toMatchObject({ diffType: { type: "unmount" } });
  expect([...deployment.components.keys()]).toEqual([ROOT]);
  await expect(run(deployment, "query", "app:count", { which: "left" })).rejects.toThrow(
    "Child component left not found",
  );

  const remounted = await (await deploy(deployment, push)).finish();
  expect(remounted.componentDiffs.left).toMatchObject({ diffType: { type: "remount" } });
  expect(await run(deployment, "query", "app:count", { which: "left" })).toBe(4);
});

test("a push without a variable that a component requires changes nothing", async () => {
  const deployment = await startDeployment();
  const { finish } = await deploy(deployment, push);
  await expect(finish()).rejects.toThrow("Environment variable SECRET is required by the app");
  expect([...deployment.components.keys()]).toEqual([ROOT]);
  expect(deployment.pushes.hashes()).toEqual([]);
});

test("documents of a component that a new schema does not allow stop the push", async () => {
  const deployment = await deployed();
  await run(deployment, "mutation", "app:increment", { which: "right", by: 4 });
  const stricter = structuredClone(push);
  for (const definition of stricter.componentDefinitions) {
    if (definition.schema === null) continue;
    definition.schema.source = definition.schema.source.replace("by: v.number()", "by: v.string()");
  }
  const { failure, finish } = await deploy(deployment, stricter);
  expect(failure).toMatchObject({ componentPath: "right", tableName: "counts" });
  await expect(finish()).rejects.toThrow("does not match the schema");
});
