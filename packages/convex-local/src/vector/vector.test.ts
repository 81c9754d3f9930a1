import { expect, test } from "bun:test";
import {
  actionGeneric,
  defineSchema,
  defineTable,
  type GenericDocument,
  type GenericVectorIndexConfig,
  mutationGeneric,
  type VectorFilterBuilder,
} from "convex/server";
import { v } from "convex/values";
import { answerOf, startWith } from "../../fixtures/functions.ts";
import { Random } from "../../fixtures/random.ts";
import { type Deployment, ROOT } from "../deployment.ts";
import { digestOf } from "../store/follower.ts";
import type { Json } from "../values/wire.ts";
import { hasNativeVectors, nativeNearest, scannedNearest } from "./nearest.ts";

const DIMENSIONS = 4;
const SCHEMA = defineSchema({
  chunks: defineTable({
    embedding: v.optional(v.any()),
    box: v.optional(v.any()),
    lang: v.optional(v.string()),
  }).vectorIndex("by_embedding", {
    vectorField: "embedding",
    dimensions: DIMENSIONS,
    filterFields: ["box", "lang"],
  }),
});

const functions = {
  insert: mutationGeneric({
    args: { documents: v.array(v.any()) },
    handler: async (ctx, { documents }) => {
      const ids: string[] = [];
      for (const document of documents) ids.push(await ctx.db.insert("chunks", document));
      return ids;
    },
  }),
  change: mutationGeneric({
    args: { id: v.id("chunks"), fields: v.any() },
    handler: (ctx, { id, fields }) => ctx.db.patch(id, fields),
  }),
  remove: mutationGeneric({ args: { id: v.id("chunks") }, handler: (ctx, { id }) => ctx.db.delete(id) }),
  insertBadly: mutationGeneric({
    args: {},
    handler: async (ctx) => {
      try {
        await ctx.db.insert("chunks", { embedding: [1, 2] });
      } catch (error) {
        return [(error as Error).message, (await ctx.db.query("chunks").collect()).length];
      }
      return null;
    },
  }),
  find: actionGeneric({
    args: {
      vector: v.array(v.number()),
      limit: v.optional(v.number()),
      either: v.optional(v.array(v.any())),
    },
    handler: (ctx, { vector, limit, either }) =>
      ctx.vectorSearch("chunks", "by_embedding", {
        vector,
        ...(limit === undefined ? {} : { limit }),
        ...(either === undefined
          ? {}
          : {
              filter: (q: VectorFilterBuilder<GenericDocument, GenericVectorIndexConfig>) =>
                q.or(...either.map(([field, value]) => q.eq(field as never, value as never))),
            }),
      } as never),
  }),
};

const start = () => startWith(SCHEMA, functions);

const run = <T>(deployment: Deployment, name: keyof typeof functions, args: Json = {}) =>
  answerOf<T>(deployment, name === "find" ? "action" : "mutation", name, args);
const insert = (deployment: Deployment, ...documents: Json[]) =>
  run<string[]>(deployment, "insert", { documents });
type Found = { _id: string; _score: number }[];

test("the most similar vectors come first, with the cosine as their score", async () => {
  const deployment = start();
  const [same, near, right, opposite] = (await insert(
    deployment,
    { embedding: [2, 0, 0, 0] },
    { embedding: [1, 1, 0, 0] },
    { embedding: [0, 0, 3, 0] },
    { embedding: [-1, 0, 0, 0] },
    { embedding: "no vector" },
    {},
  )) as [string, string, string, string];
  const found = await run<Found>(deployment, "find", { vector: [1, 0, 0, 0] });
  expect(found.map(({ _id }) => _id)).toEqual([same, near, right, opposite]);
  for (const [index, score] of [1, Math.SQRT1_2, 0, -1].entries())
    expect(found[index]?._score).toBeCloseTo(score, 5);
  expect(await run<Found>(deployment, "find", { vector: [1, 0, 0, 0], limit: 2 })).toHaveLength(2);
});

test("with filters one of the equalities must hold", async () => {
  const deployment = start();
  const [a, b, c] = (await insert(
    deployment,
    { embedding: [1, 0, 0, 0], box: "in", lang: "de" },
    { embedding: [1, 1, 0, 0], box: "out", lang: "en" },
    { embedding: [1, 1, 1, 0], lang: "fr" },
  )) as [string, string, string];
  const find = async (...either: Json[]) =>
    (await run<Found>(deployment, "find", { vector: [1, 0, 0, 0], either })).map(({ _id }) => _id);
  expect(await find(["box", "in"])).toEqual([a]);
  expect(await find(["box", "in"], ["lang", "fr"])).toEqual([a, c]);
  expect(await find(["lang", "en"], ["box", "in"])).toEqual([a, b]);
  expect(await find(["box", 5])).toEqual([]);
  expect(await find()).toEqual([]);
});

test("changed vectors are found where they are now, removed ones nowhere", async () => {
  const deployment = start();
  const [id] = (await insert(deployment, { embedding: [1, 0, 0, 0], box: "in" })) as [string];
  await run(deployment, "change", { id, fields: { embedding: [0, 1, 0, 0], box: "out" } });
  expect((await run<Found>(deployment, "find", { vector: [0, 1, 0, 0] }))[0]?._score).toBeCloseTo(1, 5);
  expect(await run<Found>(deployment, "find", { vector: [0, 1, 0, 0], either: [["box", "in"]] })).toEqual([]);
  await run(deployment, "remove", { id });
  expect(await run<Found>(deployment, "find", { vector: [0, 1, 0, 0] })).toEqual([]);
});

test("a vector of another length is refused before anything is written", async () => {
  const deployment = start();
  await expect(insert(deployment, { embedding: [1, 2, 3] })).rejects.toThrow(
    'expects "embedding" to be 4 finite numbers',
  );
  await expect(insert(deployment, { embedding: [1, 2, 3, "x"] })).rejects.toThrow(
    "something else among them",
  );
  expect(await run<unknown[]>(deployment, "insertBadly")).toEqual([expect.stringContaining("has 2"), 0]);
  await expect(run(deployment, "find", { vector: [1, 2, 3] })).rejects.toThrow(
    "4 dimensions, the one searched for has 3",
  );
});

test("a limit outside of 1 to 256 and filters on other fields are refused", async () => {
  const deployment = start();
  const vector = [1, 0, 0, 0];
  for (const limit of [0, 257, 1.5]) {
    await expect(run(deployment, "find", { vector, limit })).rejects.toThrow("1 to 256");
  }
  await expect(run(deployment, "find", { vector, either: [["embedding", 1]] })).rejects.toThrow(
    "filter fields",
  );
});

const hasNative = (deployment: Deployment) => hasNativeVectors(deployment.store.sql.raw);
test.skipIf(!hasNative(start()))(
  "SQLite's extension and the scan without it give the same results",
  async () => {
    const deployment = start();
    expect(hasNative(deployment)).toBe(true);
    const { raw } = deployment.store.sql;
    const random = new Random(11);
    const vector = () => Array.from({ length: DIMENSIONS }, () => random.below(2001) / 1000 - 1);
    const documents = Array.from({ length: 800 }, () => ({ embedding: vector(), box: random.below(3) }));
    await insert(deployment, ...documents, { embedding: [0, 0, 0, 0], box: 0 });
    const table = deployment.store.table(ROOT, "chunks")?.companions[0];
    if (table?.kind !== "vector") throw new Error("There is no vector index");
    for (let round = 0; round < 50; round++) {
      const wanted = Float32Array.from(round === 0 ? [0, 0, 0, 0] : vector());
      const filters = round % 2 === 0 ? null : [{ at: 0, digest: digestOf(random.below(3)) }];
      const limit = 1 + random.below(256);
      const native = nativeNearest(raw, table.table, wanted, filters, limit);
      const scanned = scannedNearest(raw, table.table, wanted, filters, limit);
      expect(scanned.length).toBe(native.length);
      for (const [at, { doc, score }] of native.entries()) {
        expect(scanned[at]?.score).toBeCloseTo(score, 5);
        // Rounding may swap neighbours that are equal to six digits.
        const peers = scanned
          .filter((other) => Math.abs(other.score - score) < 1e-6)
          .map((other) => other.doc);
        if (at < limit - 1) expect(peers).toContain(doc);
      }
    }
  },
);
