/** What suites written for convex-test do, on this engine. */
import { afterEach, expect, test, vi } from "bun:test";
import {
  actionGeneric,
  componentsGeneric,
  createFunctionHandle,
  defineSchema,
  defineTable,
  type FunctionHandle,
  type FunctionReference,
  internalMutationGeneric,
  log,
  makeFunctionReference,
  mutationGeneric,
  queryGeneric,
} from "convex/server";
import { getDocumentSize, v } from "convex/values";
import { createLocalJWKSet, type JSONWebKeySet, jwtVerify } from "jose";
import { convexTest } from "../testing.ts";
import { tokenOf } from "./identity.ts";

const schema = defineSchema({
  messages: defineTable({ author: v.string(), body: v.string(), at: v.optional(v.commitTs()) })
    .index("author", ["author"])
    .index("at", ["at"]),
});

const add = makeFunctionReference<"mutation">("f:add");
const selfSchedule = makeFunctionReference<"mutation">("f:selfSchedule");
const slowly = makeFunctionReference<"action">("f:slowly");
const cancelAll = makeFunctionReference<"mutation">("f:cancelAll");
const list = makeFunctionReference<"query">("f:list");
const invalid = makeFunctionReference<"query">("f:invalid");

const functions = {
  add: mutationGeneric({
    args: { author: v.string(), body: v.string() },
    handler: async (ctx, args) => await ctx.db.insert("messages", args),
  }),
  list: queryGeneric({ args: {}, handler: async (ctx) => await ctx.db.query("messages").collect() }),
  invalid: queryGeneric({ args: {}, returns: v.number(), handler: () => "wrong" as never }),
  selfSchedule: internalMutationGeneric({
    args: {},
    handler: async (ctx) => void (await ctx.scheduler.runAfter(0, selfSchedule, {})),
  }),
  cancelAll: internalMutationGeneric({
    args: {},
    handler: async (ctx) => {
      for (const job of await ctx.db.system.query("_scheduled_functions").collect())
        await ctx.scheduler.cancel(job._id);
    },
  }),
  slowly: actionGeneric({
    args: {},
    handler: async (ctx) => {
      await new Promise((resolve) => setTimeout(resolve, 60_000));
      await ctx.runMutation(add, { author: "AI", body: "after a minute" });
    },
  }),
  poll: actionGeneric({
    args: {},
    handler: async (ctx) => {
      await ctx.scheduler.runAfter(0, add, { author: "AI", body: "polled" });
      while ((await ctx.runQuery(list, {})).length === 0)
        await new Promise((resolve) => setTimeout(resolve, 1));
    },
  }),
};

const start = (options = {}) =>
  convexTest({ schema, modules: { "./f.ts": async () => functions }, ...options });
const states = (t: ReturnType<typeof start>) =>
  t.query(async (ctx) =>
    (await ctx.db.system.query("_scheduled_functions").collect()).map((job) => job.state.kind),
  );

afterEach(() => {
  vi.useRealTimers();
});

test("queries, mutations and actions of the test itself run as the real ones do", async () => {
  const t = start();
  const id = await t.mutation(
    async (ctx) => await ctx.db.insert("messages", { author: "ada", body: "hello" }),
  );
  expect(await t.query(async (ctx) => (await ctx.db.get(id))?.body)).toBe("hello");
  expect(await t.action(async (ctx) => (await ctx.runQuery(list, {})).length)).toBe(1);
  const written = t.query(async (ctx) => (ctx.db as never as { insert(): Promise<void> }).insert());
  await expect(written).rejects.toThrow();
  const thrown = t.mutation(async (ctx) => {
    await ctx.db.insert("messages", { author: "ada", body: "gone" });
    throw new Error("rollback");
  });
  await expect(thrown).rejects.toThrow("rollback");
  expect(await t.query(list)).toHaveLength(1);
});

test("an identity gets what it lacks, and the token it could come from", async () => {
  const t = start();
  const sarah = t.withIdentity({ name: "Sarah" });
  expect(await sarah.query((ctx) => ctx.auth.getUserIdentity())).toEqual({
    name: "Sarah",
    subject: "1775453774",
    issuer: "https://convex.test",
    tokenIdentifier: "https://convex.test|1775453774",
  });
  expect(await t.query((ctx) => ctx.auth.getUserIdentity())).toBeNull();
  const { authToken } = await sarah.mutation((ctx) => ctx.meta.getRequestMetadata());
  expect(JSON.parse(Buffer.from(authToken?.split(".")[1] ?? "", "base64url").toString())).toEqual({
    name: "Sarah",
    sub: "1775453774",
    iss: "https://convex.test",
  });
  expect(
    tokenOf({ issuer: "i", subject: "s", tokenIdentifier: "i|s", sub: "evil", updatedAt: "now" }),
  ).toContain(Buffer.from('{"iss":"i","sub":"s","updated_at":"now"}').toString("base64url"));
  const from = t.withRequestMetadata({ ip: "192.0.2.1" });
  expect(await from.mutation((ctx) => ctx.meta.getRequestMetadata())).toMatchObject({
    ip: "192.0.2.1",
    userAgent: null,
    scheduledFunctionId: null,
  });
});

test("errors say what convex-test says too", async () => {
  const t = start();
  await expect(t.mutation(add, { author: 5 })).rejects.toThrow("Validator error");
  await expect(t.query(invalid)).rejects.toThrow("Return value validation failed");
  const insert = t.run((ctx) => ctx.db.insert("messages", { author: 5 } as never));
  await expect(insert).rejects.toThrow("Validator error");
  const fetching = t.run(async () => void (await fetch("http://127.0.0.1")));
  await expect(fetching).rejects.toThrow("`fetch` is not supported");
});

test("with fake timers scheduled functions run when time gets there", async () => {
  vi.useFakeTimers();
  const t = start();
  await t.mutation(async (ctx) => {
    await ctx.scheduler.runAfter(0, add, { author: "ada", body: "now" });
    await ctx.scheduler.runAfter(60_000, add, { author: "ada", body: "later" });
  });
  expect(await states(t)).toEqual(["pending", "pending"]);
  vi.advanceTimersByTime(0);
  await t.finishInProgressScheduledFunctions();
  expect(await states(t)).toEqual(["success", "pending"]);
  await t.finishAllScheduledFunctions(vi.runAllTimers);
  expect((await t.query(list)).map(({ body }: { body: string }) => body)).toEqual(["now", "later"]);
});

test("actions that wait for timers go on while scheduled functions are being finished", async () => {
  vi.useFakeTimers();
  const t = start();
  await t.mutation((ctx) => ctx.scheduler.runAfter(0, slowly, {}));
  await t.finishAllScheduledFunctions(vi.runAllTimers);
  expect(await t.query(list)).toHaveLength(1);
});

test("with real timers scheduled functions run by themselves", async () => {
  const t = start();
  await t.action(makeFunctionReference<"action">("f:poll"));
  expect(await t.query(list)).toHaveLength(1);
});

test("functions that schedule themselves for ever are told so", async () => {
  const t = start();
  await t.mutation(selfSchedule);
  await expect(t.finishAllScheduledFunctions()).rejects.toThrow("infinitely recursive scheduled functions");
  await expect(t.finishAllScheduledFunctions(() => {}, 3)).rejects.toThrow("after 3 rounds");
});

test("a function may cancel itself while it runs, and what a rollback scheduled never runs", async () => {
  vi.useFakeTimers();
  const t = start();
  await t.mutation((ctx) => ctx.scheduler.runAfter(0, cancelAll, {}));
  const thrown = t.mutation(async (ctx) => {
    await ctx.scheduler.runAfter(0, add, { author: "ada", body: "never" });
    throw new Error("rollback");
  });
  await expect(thrown).rejects.toThrow("rollback");
  await t.finishAllScheduledFunctions(vi.runAllTimers);
  expect(await states(t)).toEqual(["canceled"]);
  expect(await t.query(list)).toEqual([]);
});

test("limits are the official ones for functions, none for arranging data, and others when asked", async () => {
  const t = start({ now: () => 0 });
  await t.run(async (ctx) => {
    for (let i = 0; i < 1001; i++) await ctx.scheduler.runAfter(1000, selfSchedule, {});
  });
  const scheduleMany = t.mutation(async (ctx) => {
    for (let i = 0; i < 1001; i++) await ctx.scheduler.runAfter(1000, selfSchedule, {});
  });
  await expect(scheduleMany).rejects.toThrow("Too many functions scheduled by this mutation (limit: 1000)");
  const few = start({ transactionLimits: { documentsRead: 2, databaseQueries: 2 } });
  await few.run(async (ctx) => {
    for (let i = 0; i < 3; i++) await ctx.db.insert("messages", { author: "ada", body: "x" });
  });
  await expect(few.query(list)).rejects.toThrow(
    "Too many documents read in a single function execution (limit: 2)",
  );
  const reads = few.query(async (ctx) => {
    for (let i = 0; i < 3; i++) await ctx.db.query("messages").first();
  });
  await expect(reads).rejects.toThrow("Too many reads in a single function execution (limit: 2)");
});

test("what a transaction has used is counted in the sizes of Convex, nested calls within their own limits", async () => {
  const t = start();
  const metrics = await t.mutation(async (ctx) => {
    const id = await ctx.db.insert("messages", { author: "ada", body: "é".repeat(100) });
    const document = await ctx.db.get(id);
    await ctx.db.query("messages").collect();
    const size = getDocumentSize(document as never);
    return { size, used: await ctx.meta.getTransactionMetrics() };
  });
  expect(metrics.used).toMatchObject({
    documentsWritten: { used: 1, remaining: 15_999 },
    bytesWritten: { used: metrics.size },
    documentsRead: { used: 2, remaining: 31_998 },
    bytesRead: { used: 2 * metrics.size, remaining: 2 ** 24 - 2 * metrics.size },
    databaseQueries: { used: 2, remaining: 4094 },
    functionsScheduled: { used: 0, remaining: 1000 },
  });
  await t.run(async (ctx) => {
    for (let i = 0; i < 5; i++) await ctx.db.insert("messages", { author: "ada", body: "x" });
  });
  const limited = t.query((ctx) => ctx.runQuery(list, {}, { transactionLimits: { documentsRead: 3 } }));
  await expect(limited).rejects.toThrow("(limit: 3)");
  const after = await t.query(async (ctx) => {
    await ctx.runQuery(list, {}, { transactionLimits: { documentsRead: 6 } });
    await ctx.db.query("messages").collect();
    return await ctx.meta.getTransactionMetrics();
  });
  expect(after.documentsRead).toEqual({ used: 12, remaining: 31_988 });
});

test("a commit timestamp is filled in at the commit, the same everywhere, and rises", async () => {
  const t = start();
  const write = () =>
    t.mutation(async (ctx) => {
      const at = ctx.db.vars.commitTs;
      const id = await ctx.db.insert("messages", { author: "ada", body: "x", at });
      const document = await ctx.db.get(id);
      const same = await ctx.db
        .query("messages")
        .withIndex("at", (q) => q.eq("at", at))
        .collect();
      return { id, isPending: document?.at === at, found: same.length, at };
    });
  const first = await write();
  const second = await write();
  expect([first.isPending, first.found, second.found]).toEqual([true, 1, 1]);
  const stored = await t.query((ctx) => ctx.db.query("messages").withIndex("at").collect());
  expect(stored.map(({ at }) => at)).toEqual([first.at, second.at]);
  expect(typeof first.at).toBe("bigint");
  expect(second.at > first.at).toBe(true);
  expect(await t.query(async (ctx) => ctx.meta.getSnapshotTs())).toBeGreaterThanOrEqual(second.at as never);
  const scheduled = t.mutation(async (ctx) => {
    await ctx.scheduler.runAfter(0, add, { author: "ada", body: ctx.db.vars.commitTs } as never);
  });
  await expect(scheduled).rejects.toThrow("Invalid arguments");
});

test("files that a rolled back transaction has stored or deleted are as before", async () => {
  const t = start();
  const id = await t.action((ctx) => ctx.storage.store(new Blob(["kept"])));
  const thrown = t.run(async (ctx) => {
    const other = await ctx.storage.store(new Blob(["uncommitted"]));
    expect(await (await ctx.storage.get(other))?.text()).toBe("uncommitted");
    await ctx.storage.delete(id);
    expect(await ctx.storage.get(id)).toBeNull();
    throw new Error("rollback");
  });
  await expect(thrown).rejects.toThrow("rollback");
  expect(await t.query((ctx) => ctx.db.system.query("_storage").collect())).toHaveLength(1);
  expect(await t.action(async (ctx) => await (await ctx.storage.get(id))?.text())).toBe("kept");
  expect(await t.query((ctx) => ctx.storage.getUrl(id))).toStartWith("https://");
});

test("components have tables of their own, and call back by function handles", async () => {
  const t = start();
  t.registerComponent("counter", undefined, {
    "./lib.ts": async () => ({
      increment: mutationGeneric({
        args: { callback: v.optional(v.string()) },
        handler: async (ctx, { callback }) => {
          await ctx.db.insert("messages", {});
          if (callback !== undefined) {
            await ctx.runMutation(callback as FunctionHandle<"mutation">, {
              author: "counter",
              body: "called",
            });
          }
          return (await ctx.db.query("messages").collect()).length;
        },
      }),
    }),
  });
  const lib = (componentsGeneric().counter?.lib ?? {}) as Record<
    string,
    FunctionReference<"mutation", "internal">
  >;
  const { increment } = lib;
  if (increment === undefined) throw new Error("There is no reference");
  expect(await t.mutation(increment as never)).toBe(1);
  const counted = await t.mutation(async (ctx) => {
    const callback = await createFunctionHandle(add);
    return (await ctx.runMutation(increment, { callback })) as number;
  });
  expect(counted).toBe(2);
  expect(await t.query(list)).toMatchObject([{ author: "counter", body: "called" }]);
});

test("a call inside a transaction belongs to it", async () => {
  const t = start();
  const thrown = t.run(async () => {
    await t.mutation(add, { author: "ada", body: "inside" });
    expect(await t.query(list)).toHaveLength(1);
    throw new Error("rollback");
  });
  await expect(thrown).rejects.toThrow("rollback");
  expect(await t.query(list)).toEqual([]);
});

test("audit entries go to the log with what the engine knows", async () => {
  const entries: unknown[] = [];
  const t = start({
    log: (event: string, fields: unknown) => event === "function.audit" && entries.push(fields),
  });
  await t.withRequestMetadata({ ip: "192.0.2.1" }).mutation(async () => {
    await log.audit({ action: "deleted", from: log.vars.ip, agent: log.vars.userAgent });
  });
  expect(entries).toEqual([{ path: "inline", body: { action: "deleted", from: "192.0.2.1", agent: null } }]);
});

test("a token that a mutation signs is verified with the published keys", async () => {
  const t = start();
  const token = await t.mutation((ctx) => ctx.auth.signJwt({ claims: { sub: "ada" }, expiresInSeconds: 60 }));
  const keys = (await (await t.fetch("/.well-known/jwks.json")).json()) as JSONWebKeySet;
  const { payload } = await jwtVerify(token, createLocalJWKSet(keys));
  expect(payload).toMatchObject({ sub: "ada", iss: "https://test.convex.site" });
});

test("an action that is canceled while it runs goes on, but what it schedules then does not", async () => {
  let go = () => {};
  const t = convexTest({
    modules: {
      "./f.ts": async () => ({
        ...functions,
        wait: actionGeneric({
          args: {},
          handler: async (ctx) => {
            await new Promise<void>((resolve) => {
              go = resolve;
            });
            await ctx.scheduler.runAfter(0, add, { author: "AI", body: "never" });
          },
        }),
      }),
    },
    now: () => 0,
  });
  const id = await t.mutation((ctx) =>
    ctx.scheduler.runAfter(0, makeFunctionReference<"action">("f:wait"), {}),
  );
  const finished = t.finishInProgressScheduledFunctions();
  const state = () =>
    t.query(async (ctx) => (await ctx.db.system.get(id as never)) as { state: { kind: string } } | null);
  while ((await state())?.state.kind !== "inProgress") await Promise.resolve();
  await t.mutation((ctx) => ctx.scheduler.cancel(id));
  go();
  await finished;
  await t.finishAllScheduledFunctions();
  const kinds = await t.query(async (ctx) =>
    (await ctx.db.system.query("_scheduled_functions").collect()).map((job) => job.state.kind),
  );
  expect(kinds).toEqual(["canceled", "canceled"]);
  expect(await t.query(list)).toEqual([]);
});
