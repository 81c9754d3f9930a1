/** What functions written for the official backend find, call by call. */
import { expect, spyOn, test } from "bun:test";
import { randomFillSync } from "node:crypto";
import {
  defineSchema,
  defineTable,
  makeFunctionReference,
  mutationGeneric,
  queryGeneric,
} from "convex/server";
import { ConvexError, v } from "convex/values";
import { convexTest } from "../testing.ts";
import { newId } from "../values/id.ts";

const schema = defineSchema({
  items: defineTable({ n: v.number(), tag: v.optional(v.string()) })
    .index("by_n", ["n"])
    .index("by_tag_n", ["tag", "n"]),
  others: defineTable({ item: v.optional(v.id("items")) }),
});
const nested = {
  echo: queryGeneric({ args: { value: v.any() }, handler: async (_ctx, { value }) => value as unknown }),
  strict: queryGeneric({ args: { n: v.number() }, returns: v.string(), handler: () => 5 as never }),
  fail: mutationGeneric({
    args: {},
    handler: async (ctx) => {
      await ctx.db.insert("items", { n: 99 });
      throw new ConvexError({ code: "no", list: [1n] });
    },
  }),
};
const start = (options = {}) => convexTest({ schema, modules: { "./f.ts": async () => nested }, ...options });
const fail = makeFunctionReference<"mutation">("f:fail");
const echo = makeFunctionReference<"query">("f:echo");
const strict = makeFunctionReference<"query">("f:strict");
const none = makeFunctionReference<"query">("f:none");

type Loose = (...args: unknown[]) => Promise<unknown>;
type Range = Record<"eq" | "gt", (field: string, value: unknown) => Range>;
/** Without the types, which would refuse most of what is tried here. */
type Ctx = {
  db: Record<"get" | "insert" | "patch" | "replace" | "delete", Loose> & {
    query(table: string): { withIndex(name: string, range?: (q: Range) => Range): { collect: Loose } };
  };
  scheduler: { runAfter: Loose };
  runQuery: Loose;
  runMutation: Loose;
};

/** What a mutation throws. */
async function thrown(work: (ctx: Ctx) => Promise<unknown>, options = {}): Promise<string> {
  const t = start(options);
  return await t.mutation(work as never).then(
    () => "nothing",
    (error: unknown) => (error as Error).message,
  );
}

const item = (ctx: Ctx) => ctx.db.insert("items", { n: 1 });
const job = (ctx: Ctx) => ctx.scheduler.runAfter(1000, fail, {});
const query = (ctx: Ctx, name: string, range?: (q: Range) => Range) =>
  ctx.db.query("items").withIndex(name, range).collect();

const nest = (levels: number): unknown =>
  Array.from({ length: levels }).reduce((inner) => [inner], 1 as unknown);

const refusals: [string, (ctx: Ctx) => Promise<unknown>, string][] = [
  ["get with what is no id", (ctx) => ctx.db.get("nonsense"), "Invalid argument `id` for `db.get`"],
  [
    "get of another table's id",
    async (ctx) => await ctx.db.get("others", await item(ctx)),
    "expected an ID of table 'others'",
  ],
  [
    "patch of a deleted document",
    async (ctx) => {
      const id = await item(ctx);
      await ctx.db.delete(id);
      await ctx.db.patch(id, { n: 2 });
    },
    "Update on nonexistent document ID",
  ],
  [
    "delete of a deleted document",
    async (ctx) => {
      const id = await item(ctx);
      await ctx.db.delete(id);
      await ctx.db.delete(id);
    },
    "Delete on nonexistent document ID",
  ],
  [
    "replace of another table's id",
    async (ctx) => await ctx.db.replace("others", await item(ctx), {}),
    "expected an ID of table 'others'",
  ],
  ["insert into a system table", (ctx) => ctx.db.insert("_storage", {}), "read-only"],
  ["a write to a scheduled function", async (ctx) => await ctx.db.delete(await job(ctx)), "read-only"],
  [
    "a patch of a scheduled function by its table",
    async (ctx) => await ctx.db.patch("_scheduled_functions", await job(ctx), {}),
    "read-only",
  ],
  [
    "get of a scheduled function",
    async (ctx) => await ctx.db.get(await job(ctx)),
    "System tables can only be accessed with db.system.",
  ],
  ["a document with an own _id", (ctx) => ctx.db.insert("items", { n: 1, _id: "x" }), "Provided document ID"],
  ["an unknown index", (ctx) => query(ctx, "by_x"), "Index items.by_x not found."],
  [
    "a field that the index lacks",
    (ctx) => query(ctx, "by_n", (q) => q.eq("tag", "x")),
    "doesn't index this field",
  ],
  [
    "fields out of order",
    (ctx) => query(ctx, "by_tag_n", (q) => q.eq("n", 1)),
    "didn't use the index fields in order",
  ],
  [
    "a field that the schema lacks",
    (ctx) => ctx.db.insert("items", { n: 1, more: 2 }),
    "Object contains extra field `more` that is not in the validator.\n\nObject: {more: 2.0, n: 1.0}\nValidator: v.object({n: v.float64(), tag: v.optional(v.string())})",
  ],
  [
    "an id of another table in a document",
    async (ctx) => {
      const other = await ctx.db.insert("others", {});
      await ctx.db.insert("others", { item: other });
    },
    'from table `others`, which does not match the table name in validator `v.id("items")`.\nPath: .item',
  ],
  [
    "a document over 1 MiB",
    (ctx) => ctx.db.insert("loose", { text: "x".repeat(2 ** 20) }),
    "Value is too large (1.00 MiB > maximum size 1 MiB)",
  ],
  [
    "a document nested too deeply",
    (ctx) =>
      ctx.db.insert(
        "loose",
        Array.from({ length: 20 }).reduce((inner) => ({ inner }), {}),
      ),
    "Value is too nested",
  ],
  [
    "an array that is too long",
    (ctx) => ctx.db.insert("loose", { list: Array(8193).fill(0) }),
    "Array length is too long (8193 > maximum length 8192)",
  ],
  [
    "arguments that a nested query refuses",
    (ctx) => ctx.runQuery(strict, { n: "x" }),
    "ArgumentValidationError: Value does not match validator.\nPath: .n",
  ],
  [
    "a result that does not match",
    (ctx) => ctx.runQuery(strict, { n: 1 }),
    "ReturnsValidationError: Value does not match validator.",
  ],
  [
    "a nested function that is not there",
    (ctx) => ctx.runQuery(none, {}),
    "Could not find function for 'f:none'",
  ],
  [
    "a schedule too far away",
    (ctx) => ctx.scheduler.runAfter(6 * 365 * 24 * 3600_000, fail, {}),
    "more than 5 years in the future",
  ],
  [
    "a schedule of a file that is not there",
    (ctx) => ctx.scheduler.runAfter(0, makeFunctionReference<"mutation">("missing:f"), {}),
    "Attempted to schedule function at nonexistent path: missing",
  ],
  [
    "a schedule of a function that is not there",
    (ctx) => ctx.scheduler.runAfter(0, none, {}),
    "no exported function none found in the file: f. Did you forget to export it?",
  ],
  ["a schedule of a query", (ctx) => ctx.scheduler.runAfter(0, echo, {}), "Only mutations and actions"],
  [
    "a delete of an id whose table is not there",
    (ctx) => ctx.db.delete(newId(20_000, 0, randomFillSync)),
    "not found",
  ],
  [
    "a result nested too deeply",
    async (ctx) => await ctx.runQuery(echo, { value: nest(64) }),
    "Value is too nested",
  ],
  [
    "a timer",
    async () => void setTimeout(() => {}, 1),
    "Can't use setTimeout in queries and mutations. Please consider using an action",
  ],
  [
    "a timer whose refusal is caught",
    async () => {
      try {
        setInterval(() => {}, 1);
      } catch {
        // As a library might, that has another way.
      }
    },
    "Can't use setInterval in queries and mutations",
  ],
  [
    "a query called as a mutation",
    (ctx) => ctx.runMutation(echo, {}),
    "Trying to execute f.js:echo as Mutation, but it is defined as Query.",
  ],
  [
    "a change of the engine",
    async () => void Reflect.set(Object(Reflect.get(globalThis, "Convex")), "syscall", null),
    "nothing",
  ],
  [
    "a signal with a timer",
    async () => void AbortSignal.timeout(1),
    "Can't use AbortSignal.timeout in queries",
  ],
];
test.each(refusals)("%s is refused with a reason", async (_name, work, reason) => {
  expect(await thrown(work)).toContain(reason);
});

test("a nested mutation that throws is undone alone, and its ConvexError arrives with its data", async () => {
  const t = start();
  const seen = await t.mutation(async (ctx) => {
    await ctx.db.insert("items", { n: 1 });
    const error: unknown = await ctx.runMutation(fail, {}).catch((caught: unknown) => caught);
    const left = await ctx.db.query("items").collect();
    const { documentsWritten } = await ctx.meta.getTransactionMetrics();
    return {
      data: error instanceof ConvexError ? error.data : null,
      left: left.map(({ n }) => n),
      written: documentsWritten.used,
    };
  });
  expect(seen).toEqual({ data: { code: "no", list: [1n] }, left: [1], written: 1 });
  expect(await t.action((ctx) => ctx.runQuery(echo, { value: [1n, new Uint8Array([1]).buffer] }))).toEqual([
    1n,
    new Uint8Array([1]).buffer,
  ]);
});

test("a query on a stale snapshot sees nothing that its mutation has done, and changes nothing", async () => {
  const all = queryGeneric({
    args: {},
    handler: async (ctx) =>
      (
        await ctx.db
          .query("items")
          .withIndex("by_n" as never)
          .collect()
      ).map(({ n }) => n as number),
  });
  const stale = convexTest({ schema, modules: { "./f.ts": async () => ({ ...nested, all }) } });
  const list = makeFunctionReference<"query">("f:all");
  const ids = await stale.run(async (ctx) => [
    await ctx.db.insert("items", { n: 1 }),
    await ctx.db.insert("items", { n: 2 }),
  ]);
  const seen = await stale.mutation(async (ctx) => {
    const [first, second] = ids;
    if (first === undefined || second === undefined) throw new Error("Two were inserted");
    const untouched = await ctx.runQuery(list, {}, { useStaleSnapshot: true });
    await ctx.db.insert("items", { n: 5 });
    await ctx.db.patch(first, { n: 3 });
    await ctx.db.patch(first, { n: 4 });
    await ctx.db.delete(second);
    const before = await ctx.runQuery(list, {}, { useStaleSnapshot: true });
    return { untouched, before, after: await ctx.runQuery(list, {}) };
  });
  expect(seen).toEqual({ untouched: [1, 2], before: [1, 2], after: [4, 5] });
  expect(await stale.query(list)).toEqual([4, 5]);
});

test("documents come back with their fields in order, and patches remove what is undefined", async () => {
  const t = start();
  const document = await t.mutation(async (ctx) => {
    const id = await ctx.db.insert("items", { tag: "x", n: 1 });
    await ctx.db.patch("items", id, { tag: undefined, n: 2 });
    await ctx.db.patch("items", id, { tag: "y" });
    return (await ctx.db.get("items", id)) ?? {};
  });
  expect(Object.keys(document)).toEqual(["_creationTime", "_id", "n", "tag"]);
  expect(document).toMatchObject({ n: 2, tag: "y" });
});

test("nothing passes inside a query, and nothing in it is by chance", async () => {
  const t = start({ now: () => 1_700_000_000_000 });
  const moments = await t.query(async () => {
    const moment = () => [Date.now(), performance.now(), new Date().toISOString()];
    const before = moment();
    for (let i = 0; i < 1e5; i++) Math.sqrt(i);
    return [before, moment()];
  });
  expect(moments[0]).toEqual(moments[1] as number[]);
  const first = await t.query(async () => await Promise.race([Promise.resolve("a"), new Promise(() => {})]));
  expect(first).toBe("a");
});

test("a page that meets a limit ends before it and says that it must be split", async () => {
  const t = start({ transactionLimits: { documentsRead: 5 } });
  await t.mutation(async (ctx) => {
    for (let n = 0; n < 8; n++) await ctx.db.insert("items", { n });
  });
  const seen = await t.query(async (ctx) => {
    const page = await ctx.db.query("items").withIndex("by_n").paginate({ numItems: 8, cursor: null });
    const after = await ctx.db
      .query("items")
      .first()
      .catch((error: unknown) => (error as Error).message);
    return { ...page, after };
  });
  expect(seen.page.map(({ n }) => n)).toEqual([0, 1, 2, 3, 4]);
  expect([seen.isDone, seen.pageStatus]).toEqual([false, "SplitRequired"]);
  expect(seen.splitCursor).toBeString();
  expect(seen.after).toStartWith("Too many documents read in a single function execution (limit: 5).");
  const rest = await t.query((ctx) =>
    ctx.db.query("items").withIndex("by_n").paginate({ numItems: 8, cursor: seen.continueCursor }),
  );
  expect(rest.page.map(({ n }) => n)).toEqual([5, 6, 7]);
  const few = await t.query((ctx) =>
    ctx.db.query("items").withIndex("by_n").paginate({ numItems: 8, cursor: null, maximumRowsRead: 2 }),
  );
  expect(few.page.map(({ n }) => n)).toEqual([0, 1]);
  const pinned = await t.query((ctx) =>
    ctx.db
      .query("items")
      .withIndex("by_n")
      .paginate({ numItems: 1, cursor: null, endCursor: seen.continueCursor }),
  );
  expect(pinned.page).toHaveLength(5);
  const foreign = t.query((ctx) =>
    ctx.db.query("items").paginate({ numItems: 1, cursor: seen.continueCursor }),
  );
  await expect(foreign).rejects.toThrow("InvalidCursor");
});

test("what comes near a limit is warned of in the log", async () => {
  const lines: string[] = [];
  const spy = spyOn(console, "log").mockImplementation((line: string) => void lines.push(line));
  try {
    const t = start({ now: () => 0 });
    await t.mutation(async (ctx) => {
      for (let i = 0; i < 900; i++) await ctx.scheduler.runAfter(1000, fail, {});
    });
    expect(lines.splice(0)).toEqual([
      "[WARN] Many functions scheduled by this mutation (actual: 900, limit: 1000).",
    ]);
    const id = await t.mutation(async (ctx) =>
      (ctx.db.insert as Loose)("loose", { text: "x".repeat(900_000) }),
    );
    expect(lines.splice(0)).toEqual([
      `[WARN] Large document written with ID ${String(id)} (actual: ${bytesOfLoose} bytes, limit: 1048576 bytes).`,
    ]);
    await t.query(echo, { value: "x".repeat(15_000_000) });
    expect(lines.splice(0)).toEqual([
      expect.stringContaining("[WARN] Large size of the function arguments (actual: 15000"),
      expect.stringContaining(
        "[WARN] Large size of the function return value (actual: 15000002 bytes, limit: 16777216 bytes).",
      ),
    ]);
  } finally {
    spy.mockRestore();
  }
});

/** A text of 900,000 bytes in a document: its two system fields, and the names. */
const bytesOfLoose = 900_000 + 2 + 5 + 2 + 14 + 9 + 4 + 34;

test("an action may have a thousand operations under way, and no more", async () => {
  const t = start();
  const ask = (count: number) =>
    t.action(
      async (ctx) => await Promise.all(Array.from({ length: count }, () => ctx.runQuery(echo, { value: 1 }))),
    );
  expect(await ask(1000)).toHaveLength(1000);
  await expect(ask(1001)).rejects.toThrow("Too many concurrent operations in one action (limit: 1000)");
});
