import {
  type DataModelFromSchemaDefinition,
  type FunctionReference,
  type GenericActionCtx,
  type GenericDataModel,
  type GenericMutationCtx,
  type GenericSchema,
  getFunctionName,
  internalMutationGeneric,
  type SchemaDefinition,
} from "convex/server";
import { ConvexError, convexToJson, type JSONValue, jsonToConvex, type Value } from "convex/values";
import type { Identity } from "./auth/identity.ts";
import { Deployment, ROOT } from "./deployment.ts";
import { FunctionFailure, failureData } from "./functions/failure.ts";
import type { FunctionKind, RequestMetadata } from "./functions/frame.ts";
import type { Exports, FunctionObject } from "./functions/module.ts";
import type { Outcome } from "./functions/runner.ts";
import { withLoadingEnvironment } from "./functions/sandbox.ts";
import { applySchema, SchemaJson } from "./functions/schema.ts";
import { routeHttpAction } from "./http/router.ts";
import type { Json } from "./values/wire.ts";

/** Modules by path, as a glob gives them: `{"./messages.ts": () => import("./messages.ts")}`. */
export type ModuleLoaders = Record<string, () => Promise<unknown>>;

export type TestOptions = {
  /** Environment variables of the deployment. */
  env?: Record<string, string>;
  /** The clock that functions and the scheduler see, in milliseconds since 1970; the real one by default. */
  now?: () => number;
};

export type TestIdentity = {
  subject?: string;
  issuer?: string;
  tokenIdentifier?: string;
  [claim: string]: Json | undefined;
};

// biome-ignore lint/suspicious/noExplicitAny: a reference of any visibility; its parameters are inferred
type Reference<Kind extends "query" | "mutation" | "action"> = FunctionReference<Kind, any>;
type ArgsOf<F extends Reference<"query" | "mutation" | "action">> = keyof F["_args"] extends never
  ? [args?: Record<string, never>]
  : Record<string, never> extends F["_args"]
    ? [args?: F["_args"]]
    : [args: F["_args"]];
type DataModelOf<S> =
  S extends SchemaDefinition<GenericSchema, boolean> ? DataModelFromSchemaDefinition<S> : GenericDataModel;
type RunCtx<Model extends GenericDataModel> = GenericMutationCtx<Model> & {
  storage: GenericActionCtx<Model>["storage"];
};

/** Calls of functions as one user. */
export type TestCaller<Model extends GenericDataModel> = {
  query<F extends Reference<"query">>(reference: F, ...args: ArgsOf<F>): Promise<F["_returnType"]>;
  mutation<F extends Reference<"mutation">>(reference: F, ...args: ArgsOf<F>): Promise<F["_returnType"]>;
  action<F extends Reference<"action">>(reference: F, ...args: ArgsOf<F>): Promise<F["_returnType"]>;
  /** Runs a piece of test code as a mutation, to arrange data and to look at it. */
  run<T>(work: (ctx: RunCtx<Model>) => Promise<T>): Promise<T>;
  /** Asks an HTTP action of `http.ts`; `path` starts with a slash. */
  fetch(path: string, init?: RequestInit): Promise<Response>;
};

export type TestConvex<Model extends GenericDataModel> = TestCaller<Model> & {
  withIdentity(identity: TestIdentity): TestCaller<Model>;
  /** Runs the scheduled functions that are due and waits for them. */
  finishInProgressScheduledFunctions(): Promise<void>;
  /**
   * Runs scheduled functions until none is left, those that they schedule too. The clock jumps to the time of
   * each, so nothing is waited for; `advanceTimers`, if given, is called before each round.
   */
  finishAllScheduledFunctions(advanceTimers?: () => void): Promise<void>;
  /** Lets the clock of the deployment run ahead. */
  advance(ms: number): void;
  setEnv(env: Record<string, string | null>): void;
};

const SCHEDULE_ROUNDS_MAX = 1000;
const FILE_EXTENSION = /\.(?:[cm]?[jt]s|tsx|jsx)$/;

/**
 * Runs Convex functions in this process on the real engine, in memory: for unit tests of `convex/`. Shaped like
 * convex-test. Scheduled functions run when the test asks for it, never by themselves.
 */
export function convexTest<Schema extends SchemaDefinition<GenericSchema, boolean>>(
  schema: Schema | undefined,
  modules: ModuleLoaders,
  options: TestOptions = {},
): TestConvex<DataModelOf<Schema>> {
  type Model = DataModelOf<Schema>;
  const now = options.now ?? (() => Date.now());
  let aheadMs = 0;
  const deployment = new Deployment({
    dataDir: null,
    synchronous: "OFF",
    instanceName: "test",
    instanceSecret: "00".repeat(32),
    now: () => now() + aheadMs,
    log: () => {},
  });
  deployment.environment.update(Object.entries(options.env ?? {}).map(([name, value]) => ({ name, value })));
  let loading: Promise<void> | undefined;
  const ready = () => {
    loading ??= load(deployment, schema, modules);
    return loading;
  };

  const call = async (
    kind: FunctionKind,
    target: string | FunctionObject,
    args: unknown,
    identity: Identity | null,
  ) => {
    await ready();
    const { runner } = deployment;
    const request = {
      component: ROOT,
      target,
      args: convexToJson((args ?? {}) as Value) as Json,
      identity,
      metadata: requestMetadata(),
      access: "any" as const,
    };
    const outcome: Outcome =
      kind === "query"
        ? await runner.query(request)
        : kind === "mutation"
          ? await runner.mutation(request)
          : await runner.action(request);
    // biome-ignore lint/suspicious/noConsole: what a function under test prints belongs into the test's output
    for (const line of outcome.logLines) console.log(line);
    if (!outcome.isSuccess) throw thrownError(outcome.failure);
    return jsonToConvex(JSON.parse(outcome.value) as JSONValue);
  };

  const callerOf = (identity: Identity | null): TestCaller<Model> => ({
    query: (reference, ...[args]) => call("query", getFunctionName(reference), args, identity),
    mutation: (reference, ...[args]) => call("mutation", getFunctionName(reference), args, identity),
    action: (reference, ...[args]) => call("action", getFunctionName(reference), args, identity),
    run: async (work) => {
      let result: unknown;
      const inline = internalMutationGeneric({
        handler: async (ctx) => {
          result = await work(ctx as unknown as RunCtx<Model>);
          return null;
        },
      });
      await call("mutation", inline as unknown as FunctionObject, {}, identity);
      return result as Awaited<ReturnType<typeof work>>;
    },
    fetch: async (path, init) => {
      await ready();
      const request = new Request(new URL(path, "http://test.convex.site"), init);
      try {
        return await routeHttpAction(deployment, request, { identity, metadata: requestMetadata() });
      } catch (error) {
        throw error instanceof FunctionFailure ? thrownError(error) : error;
      }
    },
  });

  return {
    ...callerOf(null),
    withIdentity: (identity) => callerOf(identityOf(identity)),
    finishInProgressScheduledFunctions: async () => {
      await ready();
      deployment.scheduler.startDue();
      await deployment.scheduler.settle();
    },
    finishAllScheduledFunctions: async (advanceTimers) => {
      await ready();
      for (let round = 0; round < SCHEDULE_ROUNDS_MAX; round++) {
        advanceTimers?.();
        const dueMs = deployment.scheduler.nextDueMs();
        if (dueMs === undefined) return;
        aheadMs = Math.max(aheadMs, dueMs - now());
        deployment.scheduler.startDue();
        await deployment.scheduler.settle();
      }
      throw new Error(`Scheduled functions keep scheduling others, after ${SCHEDULE_ROUNDS_MAX} rounds too`);
    },
    advance: (ms) => {
      aheadMs += ms;
    },
    setEnv: (env) => {
      deployment.environment.update(Object.entries(env).map(([name, value]) => ({ name, value })));
    },
  };
}

async function load(
  deployment: Deployment,
  schema: SchemaDefinition<GenericSchema, boolean> | undefined,
  loaders: ModuleLoaders,
): Promise<void> {
  const modules = new Map<string, Exports>();
  for (const [path, loader] of Object.entries(loaders)) {
    const name = path.replace(/^\.\//, "").replace(FILE_EXTENSION, "");
    // "x.test.ts", "_generated/…": not entry points for the CLI either.
    if (name.includes(".") || name.startsWith("_generated/")) continue;
    const exports = await withLoadingEnvironment(deployment.environment.visible(ROOT), loader);
    modules.set(name, exports as Exports);
  }
  const exported = schema as unknown as { export(): string } | undefined;
  const parsed = exported === undefined ? null : SchemaJson.parse(JSON.parse(exported.export()));
  applySchema(deployment.store, ROOT, parsed);
  deployment.components.set(ROOT, { path: ROOT, schema: parsed, modules });
}

const requestMetadata = (): RequestMetadata => ({
  requestId: crypto.randomUUID().slice(0, 16),
  ip: null,
  userAgent: null,
  scheduledFunctionId: null,
  authToken: null,
});

function identityOf(given: TestIdentity): Identity {
  const subject = given.subject ?? "test-user";
  const issuer = given.issuer ?? "https://convex.test";
  const claims = Object.fromEntries(
    Object.entries(given).flatMap(([name, claim]) => (claim === undefined ? [] : [[name, claim]])),
  );
  return { ...claims, subject, issuer, tokenIdentifier: given.tokenIdentifier ?? `${issuer}|${subject}` };
}

/** What the function threw, as the test would see it without an engine between. */
function thrownError(failure: FunctionFailure): unknown {
  const data = failureData(failure);
  if (data !== undefined) return new ConvexError(data);
  return failure.cause instanceof Error ? failure.cause : failure;
}
