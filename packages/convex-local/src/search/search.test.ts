import { expect, test } from "bun:test";
import {
  defineSchema,
  defineTable,
  makeFunctionReference,
  mutationGeneric,
  paginationOptsValidator,
  queryGeneric,
  type SearchFilterBuilder,
  type SearchFilterFinalizer,
} from "convex/server";
import { v } from "convex/values";
import { answerOf, callOf, install, startWith } from "../../fixtures/functions.ts";
import { Random } from "../../fixtures/random.ts";
import { type Deployment, ROOT } from "../deployment.ts";
import { applySchema, SchemaJson } from "../functions/schema.ts";
import type { Json } from "../values/wire.ts";
import { termsOf } from "./terms.ts";

const messages = () =>
  defineTable({ body: v.optional(v.any()), box: v.optional(v.any()), read: v.optional(v.any()) });
const SCHEMA = defineSchema({
  messages: messages().searchIndex("by_body", { searchField: "body", filterFields: ["box", "read"] }),
});

// biome-ignore lint/suspicious/noExplicitAny: the fields of the one index of these tests
type Q = SearchFilterBuilder<any, any> & SearchFilterFinalizer<any, any>;
const filtered = (text: string, filters: [string, unknown][]) => (q: Q) => {
  let built = q.search("body", text);
  for (const [field, value] of filters) built = built.eq(field, value as never);
  return built;
};

const byBody = { text: v.string(), filters: v.optional(v.any()) };
const functions = {
  insert: mutationGeneric({
    args: { documents: v.array(v.any()) },
    handler: async (ctx, { documents }) => {
      const ids: string[] = [];
      for (const document of documents) ids.push(await ctx.db.insert("messages", document));
      return ids;
    },
  }),
  change: mutationGeneric({
    args: { id: v.id("messages"), fields: v.any() },
    handler: (ctx, { id, fields }) => ctx.db.patch(id, fields),
  }),
  remove: mutationGeneric({ args: { id: v.id("messages") }, handler: (ctx, { id }) => ctx.db.delete(id) }),
  find: queryGeneric({
    args: { ...byBody, rows: v.optional(v.number()) },
    handler: async (ctx, { text, filters, rows }) => {
      const query = ctx.db
        .query("messages")
        .withSearchIndex("by_body", filtered(text, filters ?? []) as never);
      return (rows === undefined ? await query.collect() : await query.take(rows)).map(({ _id }) => _id);
    },
  }),
  page: queryGeneric({
    args: { text: v.string(), paginationOpts: paginationOptsValidator },
    handler: (ctx, { text, paginationOpts }) =>
      ctx.db
        .query("messages")
        .withSearchIndex("by_body", filtered(text, []) as never)
        .paginate(paginationOpts),
  }),
  unread: queryGeneric({
    args: byBody,
    handler: async (ctx, { text }) => {
      const found = await ctx.db
        .query("messages")
        .withSearchIndex("by_body", filtered(text, []) as never)
        .filter((q) => q.neq(q.field("read"), true))
        .collect();
      return found.map(({ body }) => body);
    },
  }),
  /** Looks at its own writes, and throws after them if it is told to. */
  writeAndFind: mutationGeneric({
    args: { fails: v.boolean() },
    handler: async (ctx, { fails }) => {
      const id = await ctx.db.insert("messages", { body: "freshly written" });
      const find = async () =>
        (
          await ctx.db
            .query("messages")
            .withSearchIndex("by_body", filtered("fresh", []) as never)
            .collect()
        ).length;
      const counts = [await find()];
      await ctx.db.patch(id, { body: "changed" });
      counts.push(await find());
      await ctx.db.patch(id, { body: "fresh again" });
      counts.push(await find());
      await ctx.db.delete(id);
      counts.push(await find());
      await ctx.db.insert("messages", { body: "fresh and kept" });
      if (fails) throw new Error("on purpose");
      return counts;
    },
  }),
  /** Goes on after a nested mutation has thrown. */
  nestAndCatch: mutationGeneric({
    args: {},
    handler: async (ctx) => {
      await ctx.db.insert("messages", { body: "fresh outside" });
      try {
        await ctx.runMutation(makeFunctionReference<"mutation">("f:writeAndFind"), { fails: true });
      } catch {
        await ctx.db.insert("messages", { body: "fresh afterwards" });
      }
      const found = await ctx.db
        .query("messages")
        .withSearchIndex("by_body", filtered("fresh", []) as never)
        .collect();
      return found.map(({ body }) => body);
    },
  }),
  raw: queryGeneric({
    args: { index: v.string(), field: v.string(), filters: v.array(v.string()) },
    handler: (ctx, { index, field, filters }) =>
      ctx.db
        .query("messages")
        .withSearchIndex(index, ((q: Q) => {
          let built = q.search(field, "x");
          for (const filter of filters) built = built.eq(filter, 1 as never);
          return built;
        }) as never)
        .collect(),
  }),
};

const start = (definition: unknown = SCHEMA) => startWith(definition, functions);

const run = <T>(deployment: Deployment, name: keyof typeof functions, args: Json = {}) =>
  answerOf<T>(deployment, "isMutation" in functions[name] ? "mutation" : "query", name, args);
const insert = (deployment: Deployment, ...documents: Json[]) =>
  run<string[]>(deployment, "insert", { documents });

test("documents with any of the terms are found, those with more of them first", async () => {
  const deployment = start();
  const [both, one] = await insert(
    deployment,
    { body: "The Quick brown fox" },
    { body: "a quick letter" },
    { body: "nothing of the kind" },
    { body: "hello there" },
    { body: "and more" },
    { body: 5 },
    {},
  );
  expect(await run<string[]>(deployment, "find", { text: "QUICK fox" })).toEqual([both, one] as string[]);
  expect(await run<string[]>(deployment, "find", { text: "missing" })).toEqual([]);
  expect(await run<string[]>(deployment, "find", { text: " ?! " })).toEqual([]);
});

test("the last term may be the beginning of a word, the others are whole words", async () => {
  const deployment = start();
  const [id] = await insert(deployment, { body: "delivery report" });
  expect(await run<string[]>(deployment, "find", { text: "rep" })).toEqual([id] as string[]);
  expect(await run<string[]>(deployment, "find", { text: "rep nothing" })).toEqual([]);
});

test("characters with a meaning in SQLite's search language are only text", async () => {
  const deployment = start();
  const [id] = await insert(deployment, { body: "and or not near terms filters" });
  for (const text of [
    '"',
    "AND",
    "OR NOT",
    "terms : x*",
    "NEAR(and, 5)",
    "near",
    "^and",
    "a' OR '1",
    "\0and",
  ]) {
    expect(await run<string[]>(deployment, "find", { text })).toEqual(
      termsOf(text).some((term) => "and or not near terms filters".includes(term)) ? [id as string] : [],
    );
  }
});

test("any text may be indexed and searched for, of any script and with any character", async () => {
  const deployment = start();
  const random = new Random(21);
  const ids = new Map<string, string[]>();
  const texts = Array.from({ length: 60 }, () => random.string(12));
  const inserted = await insert(deployment, ...texts.map((body) => ({ body })));
  for (const [index, id] of inserted.entries()) ids.set(id, termsOf(texts[index] ?? ""));
  for (let round = 0; round < 300; round++) {
    const text = round % 2 === 0 ? random.pick(texts).slice(0, 1 + random.below(6)) : random.string(8);
    const terms = termsOf(text);
    const last = terms.at(-1);
    const expected = [...ids].filter(([, own]) =>
      own.some((term) => terms.includes(term) || (last !== undefined && term.startsWith(last))),
    );
    expect((await run<string[]>(deployment, "find", { text })).sort()).toEqual(
      expected.map(([id]) => id).sort(),
    );
  }
});

test("the newest comes first among equals", async () => {
  const deployment = start();
  const ids = await insert(deployment, { body: "same" }, { body: "same" }, { body: "same" });
  expect(await run<string[]>(deployment, "find", { text: "same" })).toEqual(ids.toReversed());
});

test("filters hold for every result: values, types and absence", async () => {
  const deployment = start();
  const [a, b, c, d] = (await insert(
    deployment,
    { body: "x", box: "in", read: true },
    { body: "x", box: "in" },
    { body: "x", box: 1 },
    { body: "x", box: { $integer: "AQAAAAAAAAA=" } },
  )) as [string, string, string, string];
  const find = (...filters: Json[]) => run<string[]>(deployment, "find", { text: "x", filters });
  expect(await find(["box", "in"])).toEqual([b, a]);
  expect(await find(["box", "in"], ["read", true])).toEqual([a]);
  expect(await find(["box", 1])).toEqual([c]);
  expect(await find(["box", { $integer: "AQAAAAAAAAA=" }])).toEqual([d]);
  expect(await find(["box", "in"], ["box", 1])).toEqual([]);
});

test("take, filter and pages give the results in one order, each once", async () => {
  const deployment = start();
  await insert(
    deployment,
    ...Array.from({ length: 90 }, (_, index) => ({
      body: `word ${"word ".repeat(index % 5)} filler${index}`,
      read: index % 3 === 0,
    })),
  );
  const all = await run<string[]>(deployment, "find", { text: "word" });
  expect(all).toHaveLength(90);
  expect(await run<string[]>(deployment, "find", { text: "word", rows: 7 })).toEqual(all.slice(0, 7));
  expect(await run<string[]>(deployment, "unread", { text: "word" })).toHaveLength(60);

  const paged: string[] = [];
  let cursor: string | null = null;
  for (let isDone = false; !isDone; ) {
    const page: { page: { _id: string }[]; isDone: boolean; continueCursor: string } = await run(
      deployment,
      "page",
      {
        text: "word",
        paginationOpts: { numItems: 20, cursor },
      },
    );
    paged.push(...page.page.map(({ _id }) => _id));
    ({ isDone, continueCursor: cursor } = page);
  }
  expect(paged).toEqual(all);
});

test("a mutation finds what it has written, and a failed one leaves nothing to find", async () => {
  const deployment = start();
  await expect(run(deployment, "writeAndFind", { fails: true })).rejects.toThrow("on purpose");
  expect(await run<string[]>(deployment, "find", { text: "fresh" })).toEqual([]);
  expect(await run<number[]>(deployment, "writeAndFind", { fails: false })).toEqual([1, 0, 1, 0]);
  expect(await run<string[]>(deployment, "find", { text: "fresh" })).toHaveLength(1);
});

test("what a nested mutation has written is not found when it throws", async () => {
  const deployment = start();
  const expected = ["fresh afterwards", "fresh outside"];
  expect(await run<string[]>(deployment, "nestAndCatch")).toEqual(expected);
  expect(await run<string[]>(deployment, "find", { text: "fresh" })).toHaveLength(2);
});

test("of mutations that come in together the failed ones leave nothing to find", async () => {
  const deployment = start();
  const outcomes = await Promise.allSettled(
    Array.from({ length: 40 }, (_, index) =>
      index % 3 === 0
        ? run(deployment, "writeAndFind", { fails: true })
        : insert(deployment, { body: `fresh ${index}` }),
    ),
  );
  expect(outcomes.filter(({ status }) => status === "rejected")).toHaveLength(14);
  expect(await run<string[]>(deployment, "find", { text: "fresh" })).toHaveLength(26);
});

test("the index follows its documents through random changes", async () => {
  const deployment = start();
  const random = new Random(4);
  const words = ["ash", "birch", "cedar", "elm", "fir", "ginkgo"];
  const body = () => Array.from({ length: random.below(4) }, () => random.pick(words)).join(" ");
  const model = new Map<string, { body: string; box: number }>();
  for (let round = 0; round < 300; round++) {
    const id = model.size > 0 ? random.pick([...model.keys()]) : undefined;
    const document = { body: body(), box: random.below(3) };
    const move = random.below(4);
    if (id === undefined || move === 0) {
      model.set((await insert(deployment, document))[0] ?? "", document);
    } else if (move === 1) {
      await run(deployment, "remove", { id });
      model.delete(id);
    } else {
      await run(deployment, "change", { id, fields: document });
      model.set(id, document);
    }
    const term = random.pick(words);
    const box = random.below(3);
    const found = await run<string[]>(deployment, "find", { text: term, filters: [["box", box]] });
    const expected = [...model].filter(([, kept]) => kept.box === box && kept.body.split(" ").includes(term));
    expect(found.sort()).toEqual(expected.map(([key]) => key).sort());
  }
});

test("reading more than 1,024 results is refused, reading fewer of as many is not", async () => {
  const deployment = start();
  await insert(deployment, ...new Array<Json>(1025).fill({ body: "many" }));
  expect(await run<string[]>(deployment, "find", { text: "many", rows: 1024 })).toHaveLength(1024);
  await expect(run(deployment, "find", { text: "many" })).rejects.toThrow("matched more than 1024 documents");
});

test("a search that does not fit its index is refused", async () => {
  const deployment = start();
  await insert(deployment, { body: "x" });
  const ask = (index: string, field: string, ...filters: string[]) =>
    run(deployment, "raw", { index, field, filters });
  await expect(ask("by_nothing", "body")).rejects.toThrow("Search index messages.by_nothing not found");
  await expect(ask("by_body", "box")).rejects.toThrow('the search field is "body"');
  await expect(ask("by_body", "body", "body")).rejects.toThrow('"body" is not among its filter fields');
  await expect(ask("by_body", "body", ...new Array<string>(9).fill("box"))).rejects.toThrow(
    "more than 8 filters",
  );
});

test("a live search is run again by what it may have found, and by nothing else", async () => {
  const deployment = start();
  const [kept] = (await insert(deployment, { body: "x", box: "in" })) as [string];
  const call = callOf("find", { text: "x", filters: [["box", "in"]] });
  let stale = 0;
  const query = deployment.live.watch(call, null, () => stale++);
  const after = async (change: () => Promise<unknown>) => {
    await deployment.executor.run(() => deployment.live.refresh(query));
    const before = stale;
    await change();
    return stale - before;
  };
  expect(await after(() => insert(deployment, { body: "x", box: "in" }))).toBe(1);
  expect(await after(() => insert(deployment, { body: "x", box: "out" }))).toBe(0);
  expect(await after(() => insert(deployment, { box: "in" }))).toBe(0);
  expect(await after(() => run(deployment, "change", { id: kept, fields: { read: true } }))).toBe(1);
  expect(await after(() => run(deployment, "change", { id: kept, fields: { box: "out" } }))).toBe(1);
  expect(await after(() => run(deployment, "remove", { id: kept }))).toBe(0);
});

test("an index that a push adds is filled, one that it drops is gone, and a failed push changes neither", async () => {
  const plain = defineSchema({ messages: messages() }) as unknown as { export(): string };
  const deployment = start(plain);
  const [id] = await insert(deployment, { body: "older than the index" });
  await expect(run(deployment, "find", { text: "older" })).rejects.toThrow("not found");
  install(deployment, SCHEMA, functions);
  expect(await run<string[]>(deployment, "find", { text: "older" })).toEqual([id as string]);

  expect(() =>
    deployment.runner.transactNow((transaction) => {
      transaction.changeCatalog();
      applySchema(deployment.store, ROOT, SchemaJson.parse(JSON.parse(plain.export())));
      throw new Error("on purpose");
    }),
  ).toThrow("on purpose");
  expect(await run<string[]>(deployment, "find", { text: "older" })).toEqual([id as string]);

  install(deployment, plain, functions);
  await expect(run(deployment, "find", { text: "older" })).rejects.toThrow("not found");
  install(deployment, SCHEMA, functions);
  expect(await run<string[]>(deployment, "find", { text: "older" })).toEqual([id as string]);
});
