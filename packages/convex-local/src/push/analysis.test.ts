import { expect, test } from "bun:test";
import {
  actionGeneric,
  cronJobs,
  defineSchema,
  defineTable,
  httpActionGeneric,
  httpRouter,
  internalMutationGeneric,
  makeFunctionReference,
  queryGeneric,
} from "convex/server";
import { v } from "convex/values";
import { analyzeModules, authOf, cronsOf, requireActions, schemaOf } from "./analysis.ts";

test("functions, routes and crons are described as the CLI reads them", () => {
  const http = httpRouter();
  http.route({ path: "/x", method: "GET", handler: httpActionGeneric(async () => new Response()) });
  const crons = cronJobs();
  crons.interval("tidy", { minutes: 5 }, makeFunctionReference<"mutation">("a:clean"), {});
  const modules = analyzeModules(
    new Map<string, Record<string, unknown>>([
      [
        "a",
        {
          list: queryGeneric({ args: { n: v.number() }, returns: v.null(), handler: async () => null }),
          clean: internalMutationGeneric({ args: {}, handler: async () => null }),
          constant: 5,
        },
      ],
      ["http", { default: http }],
      ["crons", { default: crons }],
      ["schema", { default: {} }],
    ]),
  );
  expect(Object.keys(modules)).toEqual(["a.js", "http.js", "crons.js"]);
  expect(modules["a.js"]?.functions).toMatchObject([
    { name: "list", udfType: "Query", visibility: { kind: "public" }, returns: '{"type":"null"}' },
    { name: "clean", udfType: "Mutation", visibility: { kind: "internal" } },
  ]);
  expect(modules["http.js"]?.httpRoutes).toMatchObject([{ route: { path: "/x", method: "GET" } }]);
  expect(modules["crons.js"]?.cronSpecs).toMatchObject([
    ["tidy", { schedule: { type: "interval", minutes: 5 } }],
  ]);
});

test("a file for Node with anything but actions is refused", () => {
  const analyzed = analyzeModules(
    new Map([
      ["a", { list: queryGeneric({ args: {}, handler: async () => null }) }],
      ["b", { send: actionGeneric({ args: {}, handler: async () => null }) }],
    ]),
  );
  const rows = (environment: "isolate" | "node") => [
    { path: "a.js", environment },
    { path: "b.js", environment: "node" as const },
  ];
  expect(() => requireActions(analyzed, rows("isolate"))).not.toThrow();
  expect(() => requireActions(analyzed, rows("node"))).toThrow(
    "`list` defined in `a.js` is a Query function",
  );
});

test("a schema is read from the default export, and anything else refused", () => {
  const schema = defineSchema({ users: defineTable({ name: v.string() }).index("by_name", ["name"]) });
  expect(schemaOf({ default: schema })?.schema.tables).toMatchObject([
    { tableName: "users", indexes: [{ indexDescriptor: "by_name", fields: ["name"] }] },
  ]);
  expect(schemaOf(undefined)).toBeNull();
  expect(() => schemaOf({ default: { users: {} } })).toThrow("defineSchema");
  expect(() => cronsOf({ default: 5 })).toThrow("cronJobs");
});

test("an auth provider whose variable is unset is refused by the name of the variable", () => {
  const provider = (jwks: string | undefined) => ({
    default: {
      providers: [{ type: "customJwt", issuer: "https://x.test", algorithm: "ES256", jwks: jwks ?? "" }],
    },
  });
  const source = "jwks: process.env.KEYS ?? ''";
  expect(() => authOf(provider(undefined), {}, source)).toThrow(
    "Environment variable KEYS is used in auth config file",
  );
  expect(() => authOf(provider("nonsense"), { KEYS: "nonsense" }, source)).toThrow("auth.config.ts");
  const set = { KEYS: "data:application/json,%7B%7D" };
  expect(authOf(provider(set.KEYS), set, source).providers).toHaveLength(1);
});
