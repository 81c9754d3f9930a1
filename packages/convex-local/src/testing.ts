import {
  actionGeneric,
  type DataModelFromSchemaDefinition,
  type FunctionReference,
  type GenericActionCtx,
  type GenericDataModel,
  type GenericMutationCtx,
  type GenericQueryCtx,
  type GenericSchema,
  getFunctionAddress,
  internalMutationGeneric,
  queryGeneric,
  type SchemaDefinition,
} from "convex/server";
import { ConvexError, convexToJson, type JSONValue, jsonToConvex, type Value } from "convex/values";
import type { Identity } from "./auth/identity.ts";
import { addressOf } from "./components/reference.ts";
import { loadRetryPercent } from "./config.ts";
import { Deployment, ROOT } from "./deployment.ts";
import { UserError } from "./functions/errors.ts";
import { FunctionFailure, failureData } from "./functions/failure.ts";
import { currentFrame, type FunctionKind, type RequestMetadata } from "./functions/frame.ts";
import { TRANSACTION_LIMITS, type TransactionLimits } from "./functions/limits.ts";
import { type FunctionObject, functionObject } from "./functions/module.ts";
import type { Call, Outcome } from "./functions/runner.ts";
import { routeHttpAction } from "./http/router.ts";
import { identityOf, type TestIdentity, tokenOf } from "./testing/identity.ts";
import { type AnySchema, loadComponent, type ModuleLoaders, projectModules } from "./testing/modules.ts";
import { textHoldsCommitTs } from "./values/commit-ts.ts";
import type { Json } from "./values/wire.ts";

export type { TestIdentity } from "./testing/identity.ts";
export { type ModuleLoaders, modulesIn } from "./testing/modules.ts";

/** Time on the wall, of which a machine with many tests gives each a part: only a loop without end takes this long. */
const LEASH_MS_MAX = 30_000;

export type TestOptions = {
  /** Environment variables of the deployment. */
  env?: Record<string, string>;
  /**
   * The clock that functions and the scheduler see, in milliseconds since 1970. With a clock of its own a
   * deployment runs scheduled functions only when the test asks; on the real one they run at their time.
   */
  now?: () => number;
  /** Other limits of a transaction than the official ones; `false` is none. `run` has none without this. */
  transactionLimits?: Partial<TransactionLimits> | boolean;
  /** Share of mutations that are rolled back and run again; CONVEX_RETRY_PERCENT by default. */
  retryPercent?: number;
  /** What the engine would write into its log, such as mutations that would conflict. */
  log?: (event: string, fields: Record<string, unknown>) => void;
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

type CallOf<Kind extends "query" | "mutation" | "action", Ctx> = {
  <F extends Reference<Kind>>(reference: F, ...args: ArgsOf<F>): Promise<F["_returnType"]>;
  /** Runs a function of the test itself, as one of this kind. */
  <T>(inline: (ctx: Ctx) => Promise<T>): Promise<T>;
};

/** Calls of functions as one user. */
export type TestCaller<Model extends GenericDataModel> = {
  query: CallOf<"query", GenericQueryCtx<Model>>;
  mutation: CallOf<"mutation", GenericMutationCtx<Model>>;
  action: CallOf<"action", GenericActionCtx<Model>>;
  /** Runs a piece of test code as a mutation, to arrange data and to look at it. */
  run<T>(work: (ctx: RunCtx<Model>) => Promise<T>): Promise<T>;
  /** Asks an HTTP action of `http.ts`; `path` starts with a slash. */
  fetch(path: string, init?: RequestInit): Promise<Response>;
  /** The same deployment as somebody else. */
  withIdentity(identity: TestIdentity): TestCaller<Model>;
  /** The same deployment, called from elsewhere; what is not given is null. */
  withRequestMetadata(metadata: { ip?: string | null; userAgent?: string | null }): TestCaller<Model>;
  /** Runs the scheduled functions that are due, and waits for those that are running. */
  finishInProgressScheduledFunctions(): Promise<void>;
  /**
   * Runs scheduled functions until none is left, those that they schedule too. The clock jumps to the time of
   * each, so nothing is waited for. `advanceTimers`, such as `vi.runAllTimers`, is called again and again, for
   * actions that wait for a timer.
   */
  finishAllScheduledFunctions(advanceTimers?: () => void, roundsMax?: number): Promise<void>;
};

export type TestConvex<Model extends GenericDataModel> = TestCaller<Model> & {
  /** Installs a component under a path ("a", "a/b"), as `app.use` does. */
  registerComponent(path: string, schema: AnySchema | undefined, modules: ModuleLoaders): void;
  /** Lets the clock of the deployment run ahead. */
  advance(ms: number): void;
  setEnv(env: Record<string, string | null>): void;
};

const SCHEDULE_ROUNDS_MAX = 100;
/** Everything that is due may run at once in a test. */
const JOBS_RUNNING_MAX = 10_000;
const NO_LIMITS = Object.fromEntries(
  // Not infinity: functions that look at what they have left get it as JSON.
  Object.keys(TRANSACTION_LIMITS).map((metric) => [metric, Number.MAX_SAFE_INTEGER]),
) as TransactionLimits;

/**
 * Runs Convex functions in this process on the real engine, in memory: for unit tests of `convex/`. Shaped like
 * convex-test, whose suites run with only the import changed; they may give `{ schema, modules }` as one object.
 */
export function convexTest<Schema extends AnySchema>(
  schema?: Schema,
  modules?: ModuleLoaders,
  options?: TestOptions,
): TestConvex<DataModelOf<Schema>>;
export function convexTest<Schema extends AnySchema>(
  options: TestOptions & { schema?: Schema; modules?: ModuleLoaders },
): TestConvex<DataModelOf<Schema>>;
export function convexTest<Schema extends AnySchema>(
  first?: Schema | (TestOptions & { schema?: Schema; modules?: ModuleLoaders }),
  modules?: ModuleLoaders,
  options: TestOptions = {},
): TestConvex<DataModelOf<Schema>> {
  const isSchema = first === undefined || "export" in first || "tables" in first;
  return isSchema
    ? open<DataModelOf<Schema>>(first as Schema | undefined, modules, options)
    : open<DataModelOf<Schema>>(first.schema, first.modules, first);
}

function open<Model extends GenericDataModel>(
  schema: AnySchema | undefined,
  modules: ModuleLoaders | undefined,
  options: TestOptions,
): TestConvex<Model> {
  const now = options.now ?? (() => Date.now());
  let aheadMs = 0;
  const deployment = new Deployment({
    dataDir: null,
    synchronous: "OFF",
    instanceName: "test",
    instanceSecret: "00".repeat(32),
    now: () => now() + aheadMs,
    hasOwnClock: options.now !== undefined,
    log: options.log ?? (() => {}),
    retryPercent: options.retryPercent ?? loadRetryPercent(),
    jobsRunningMax: JOBS_RUNNING_MAX,
    // Fake timers would make every limit of time pass at once.
    transactionMsMax: Number.POSITIVE_INFINITY,
    leashMsMax: LEASH_MS_MAX,
  });
  deployment.setOrigins("https://test.convex.cloud", "https://test.convex.site");
  const { scheduler, environment } = deployment;
  environment.update(Object.entries(options.env ?? {}).map(([name, value]) => ({ name, value })));

  const jumpTo = (dueMs: number) => {
    aheadMs = Math.max(aheadMs, dueMs - now());
  };
  if (options.now === undefined) {
    // Looked up when it is needed: these may be the fake timers of the test.
    scheduler.onScheduled = (dueMs) =>
      globalThis.setTimeout(
        () => {
          jumpTo(dueMs);
          scheduler.startDue();
        },
        Math.max(dueMs - deployment.now(), 0),
      );
  }

  const registered: [string, AnySchema | undefined, ModuleLoaders][] = [];
  let loading: Promise<void> | undefined;
  /** Calls that come in together wait for all that the first of them loads. */
  const ready = async () => {
    loading ??= loadComponent(deployment, ROOT, schema, modules ?? projectModules());
    for (const component of registered.splice(0)) {
      loading = loading.then(() => loadComponent(deployment, ...component));
    }
    await loading;
  };

  const limits = limitsFrom(options.transactionLimits);
  const callerOf = (identity: Identity | null, from: Pick<RequestMetadata, "ip" | "userAgent">) => {
    const metadata = (): RequestMetadata => ({
      ...from,
      requestId: crypto.randomUUID().replaceAll("-", "").slice(0, 16),
      scheduledFunctionId: null,
      authToken: identity === null ? null : tokenOf(identity),
    });

    const call = async (kind: FunctionKind, target: unknown, args: unknown, own?: Partial<Call>) => {
      await ready();
      const request: Call = {
        ...targetOf(kind, target, (component) => deployment.components.has(component)),
        args: convexToJson((args ?? {}) as Value) as Json,
        identity,
        metadata: metadata(),
        access: "any",
        ...(limits === undefined ? {} : { limits }),
        ...own,
      };
      const outcome = await perform(deployment, kind, request);
      // biome-ignore lint/suspicious/noConsole: what a function under test prints belongs into the test's output
      for (const line of outcome.logLines) console.log(line);
      if (!outcome.isSuccess) throw thrownError(outcome.failure);
      return jsonToConvex(JSON.parse(outcome.value) as JSONValue);
    };

    const caller: TestCaller<Model> = {
      query: (target: unknown, args?: unknown) => call("query", target, args) as never,
      mutation: (target: unknown, args?: unknown) => call("mutation", target, args) as never,
      action: (target: unknown, args?: unknown) => call("action", target, args) as never,
      run: async (work) => {
        let result: unknown;
        const inline = async (ctx: unknown) => {
          result = await work(ctx as RunCtx<Model>);
          return isWaitingForCommit(result) ? result : null;
        };
        const committed = await call("mutation", inline, {}, { limits: limits ?? NO_LIMITS });
        return (isWaitingForCommit(result) ? committed : result) as Awaited<ReturnType<typeof work>>;
      },
      fetch: async (path, init) => {
        if (!path.startsWith("/"))
          throw new Error(`The path of a request must start with a slash, got ${path}`);
        await ready();
        const request = new Request(new URL(path, "https://test.convex.site"), init);
        try {
          return await routeHttpAction(deployment, request, { identity, metadata: metadata() });
        } catch (error) {
          throw error instanceof FunctionFailure ? thrownError(error) : error;
        }
      },
      withIdentity: (given) => callerOf(identityOf(given), from),
      withRequestMetadata: ({ ip = null, userAgent = null }) => callerOf(identity, { ip, userAgent }),
      finishInProgressScheduledFunctions: async () => {
        await ready();
        scheduler.startDue();
        await scheduler.settle();
      },
      finishAllScheduledFunctions: async (advanceTimers, roundsMax = SCHEDULE_ROUNDS_MAX) => {
        await ready();
        for (let round = 0; round < roundsMax; round++) {
          advanceTimers?.();
          const dueMs = scheduler.nextDueMs();
          if (dueMs === undefined && !scheduler.isBusy) return;
          if (dueMs !== undefined) jumpTo(dueMs);
          scheduler.startDue();
          await settle(scheduler.settle(), advanceTimers);
        }
        throw new Error(
          `finishAllScheduledFunctions: functions are still being scheduled after ${roundsMax} rounds. ` +
            "Check for infinitely recursive scheduled functions, or allow more rounds.",
        );
      },
    };
    return caller;
  };

  return {
    ...callerOf(null, { ip: null, userAgent: null }),
    registerComponent: (path, componentSchema, loaders) => {
      registered.push([path, componentSchema, loaders]);
    },
    advance: (ms) => {
      aheadMs += ms;
    },
    setEnv: (env) => {
      environment.update(Object.entries(env).map(([name, value]) => ({ name, value })));
    },
  };
}

/** Runs a call; one made by a function of the same deployment that is inside a transaction belongs to it. */
async function perform(
  { runner, syscalls }: Deployment,
  kind: FunctionKind,
  request: Call,
): Promise<Outcome> {
  const frame = currentFrame();
  const { component, target, args } = request;
  const isInside = frame?.host === syscalls && frame.transaction !== null && !frame.isClosed;
  if (isInside && typeof target === "string" && (kind === "query" || kind === "mutation")) {
    const value = await runner.nested(frame, kind, { component, path: target, access: "any" }, args);
    return { isSuccess: true, value, logLines: [] };
  }
  if (kind === "query") return await runner.query(request);
  return kind === "mutation" ? await runner.mutation(request) : await runner.action(request);
}

const BUILDERS = { query: queryGeneric, mutation: internalMutationGeneric, action: actionGeneric } as const;

/** What a test wants to call: a reference, a function of a module, or a function of its own. */
function targetOf(
  kind: FunctionKind,
  target: unknown,
  exists: (component: string) => boolean,
): Pick<Call, "component" | "target"> {
  const exported = functionObject(target);
  if (exported !== undefined && typeof target === "function") return { component: ROOT, target: exported };
  if (typeof target === "function" && kind !== "httpAction") {
    const inline = BUILDERS[kind]({ handler: target as (ctx: unknown) => Promise<unknown> });
    return { component: ROOT, target: inline as unknown as FunctionObject };
  }
  const address = addressOf(ROOT, getFunctionAddress(target) as Record<string, Json>, exists);
  return { component: address.component, target: address.path };
}

/** Whether a result of `run` holds the timestamp of a commit that was still to come. */
function isWaitingForCommit(result: unknown): boolean {
  try {
    return textHoldsCommitTs(JSON.stringify(convexToJson((result ?? null) as Value)));
  } catch (error) {
    // Anything may come out of `run`; what is no value of Convex holds no timestamp either.
    if (error instanceof Error) return false;
    throw error;
  }
}

function limitsFrom(given: TestOptions["transactionLimits"]): Partial<TransactionLimits> | undefined {
  if (given === undefined) return undefined;
  if (given === false) return NO_LIMITS;
  return given === true ? {} : given;
}

/** Waits for work that may itself wait for fake timers. */
async function settle(work: Promise<void>, advanceTimers: (() => void) | undefined): Promise<void> {
  let isOver = false;
  const end = () => {
    isOver = true;
  };
  work.then(end, end);
  while (!isOver) {
    // Not a timer, which may be a fake one.
    await new Promise<void>((resolve) => setImmediate(resolve));
    if (!isOver) advanceTimers?.();
  }
  await work;
}

/** What convex-test says where the engine has words of its own: tests look for them. */
const ALSO_SAID: [RegExp, string][] = [
  [/^(?:ArgumentValidationError: |Failed to insert or update a document)/, "Validator error"],
  [/^ReturnsValidationError: /, "Return value validation failed"],
];

/** What the function threw, as the test would see it without an engine between. */
function thrownError(failure: FunctionFailure): unknown {
  const data = failureData(failure);
  if (data !== undefined) return new ConvexError(data);
  const { cause } = failure;
  if (!(cause instanceof Error)) return failure;
  const message = cause instanceof UserError ? failure.message : cause.message;
  const also = ALSO_SAID.find(([pattern]) => pattern.test(message))?.[1];
  return also === undefined ? cause : new Error(`${also}: ${message}`, { cause });
}
