import { afterEach, beforeEach, expect, test } from "bun:test";
import { internalMutationGeneric, makeFunctionReference, mutationGeneric, queryGeneric } from "convex/server";
import { v } from "convex/values";
import { Deployment, ROOT } from "../deployment.ts";
import type { JsonObject } from "../values/wire.ts";

const self = makeFunctionReference<"mutation">("f:recurse");
const later = makeFunctionReference<"mutation">("f:nothing");
type Engine = { asyncSyscall(op: string, args: string): Promise<string> };
const engine = () => (globalThis as unknown as { Convex: Engine }).Convex;
let wakeUp = () => {};
let afterWaking: unknown;

const functions = {
  /** Writes, then waits for what does not come in time, then tries to write again. */
  hang: mutationGeneric({
    args: {},
    handler: async (ctx) => {
      await ctx.db.insert("things", { n: 1 });
      await new Promise<void>((resolve) => {
        wakeUp = resolve;
      });
      await ctx.db.insert("things", { n: 2 }).catch((error: unknown) => {
        afterWaking = error;
      });
    },
  }),
  count: queryGeneric({ args: {}, handler: async (ctx) => (await ctx.db.query("things").collect()).length }),
  nothing: internalMutationGeneric({ args: {}, handler: async () => null }),
  insert: mutationGeneric({
    args: { value: v.any() },
    handler: async (ctx, { value }) => await ctx.db.insert("things", value as Record<string, never>),
  }),
  recurse: internalMutationGeneric({
    args: {},
    handler: async (ctx): Promise<null> => await ctx.runMutation(self, {}),
  }),
  scheduleMany: mutationGeneric({
    args: { count: v.number() },
    handler: async (ctx, { count }) => {
      for (let i = 0; i < count; i++) await ctx.scheduler.runAfter(1000, later, {});
    },
  }),
  pageTwice: queryGeneric({
    args: {},
    handler: async (ctx) => {
      for (let i = 0; i < 2; i++) await ctx.db.query("things").paginate({ numItems: 1, cursor: null });
    },
  }),
  /** What `ctx` of a query does not offer, asked of the engine behind it. */
  writeInQuery: queryGeneric({
    args: {},
    handler: async () =>
      await engine().asyncSyscall("1.0/insert", JSON.stringify({ table: "things", value: {} })),
  }),
  print: queryGeneric({
    args: {},
    handler: async () => {
      // biome-ignore-start lint/suspicious/noConsole: what is printed is what is tested
      console.log("hello", 5);
      console.warn({ a: 1 });
      // biome-ignore-end lint/suspicious/noConsole: as above
      return null;
    },
  }),
};

let deployment: Deployment;
beforeEach(() => {
  deployment = new Deployment({
    dataDir: null,
    synchronous: "OFF",
    instanceName: "test",
    instanceSecret: "00",
    transactionMsMax: 50,
    now: () => Date.now(),
    log: () => {},
  });
  deployment.components.set(ROOT, { path: ROOT, schema: null, modules: new Map([["f", functions]]) });
});
afterEach(() => deployment.stop());

const metadata = { requestId: "test", ip: null, userAgent: null, scheduledFunctionId: null, authToken: null };
const call = (target: string, args: JsonObject = {}) => ({
  component: ROOT,
  target,
  args,
  identity: null,
  metadata,
  access: "any" as const,
});
const mutate = (target: string, args?: JsonObject) => deployment.runner.mutation(call(target, args));
const ask = (target: string) => deployment.runner.query(call(target));
const reasonOf = async (outcome: ReturnType<typeof mutate> | ReturnType<typeof ask>) => {
  const ended = await outcome;
  return ended.isSuccess ? "success" : ended.failure.message;
};

test("a mutation that hangs is given up, rolled back, and can do nothing afterwards", async () => {
  const hanging = mutate("f:hang");
  const waiting = ask("f:count");
  expect(await reasonOf(hanging)).toContain("Function execution timed out (maximum 50 ms)");
  expect(await waiting).toMatchObject({ isSuccess: true, value: "0" });
  wakeUp();
  while (afterWaking === undefined) await Promise.resolve();
  expect(String(afterWaking)).toContain("has already ended");
  expect(await ask("f:count")).toMatchObject({ value: "0" });
});

test("limits of one function are kept, and what it did is undone", async () => {
  expect(await reasonOf(mutate("f:scheduleMany", { count: 1001 }))).toContain("Too many functions scheduled");
  expect(deployment.scheduler.nextDueMs()).toBeUndefined();
  expect(await reasonOf(mutate("f:insert", { value: { text: "x".repeat(1024 * 1024) } }))).toContain(
    "too large",
  );
  expect(await reasonOf(mutate("f:insert", { value: { _hidden: 1 } }))).toContain("underscore");
  expect(await reasonOf(mutate("f:insert", { value: "text" }))).toContain("Value must be an Object");
  expect(await reasonOf(mutate("f:recurse"))).toContain("nested more than 8 levels");
  expect(await ask("f:count")).toMatchObject({ value: "0" });
});

test("a query cannot write, nor page twice, nor be called as a mutation", async () => {
  expect(await reasonOf(ask("f:writeInQuery"))).toContain("A query cannot write");
  expect(await reasonOf(mutate("f:count"))).toContain("as Mutation, but it is defined as Query");
  await mutate("f:insert", { value: {} });
  expect(await reasonOf(ask("f:pageTwice"))).toContain("only supports a single paginated query");
});

test("what a function prints comes with its result", async () => {
  const { logLines } = await ask("f:print");
  expect(logLines).toEqual(["[LOG] 'hello' 5", expect.stringMatching(/^\[WARN\] \{/)]);
});
