import { z } from "zod";
import type { Caller } from "../auth/caller.ts";
import { type Deployment, ROOT } from "../deployment.ts";
import { type FunctionFailure, toFailure } from "../functions/failure.ts";
import type { FunctionKind, RequestMetadata } from "../functions/frame.ts";
import { canonicalPath, functionObject, kindOfFunction } from "../functions/module.ts";
import type { Call, Outcome } from "../functions/runner.ts";
import { loadInlineQuery } from "../system/inline-query.ts";
import { toPlainJson } from "../values/plain.ts";
import { decodeTs, encodeTs } from "../values/timestamp.ts";
import { AnyJson, isObject, type Json } from "../values/wire.ts";
import { HttpProblem } from "./problem.ts";

const Format = z.enum(["json", "convex_encoded_json", "convex_json"]).default("json");
const Args = AnyJson.default({});

export const FunctionRequest = z.object({
  path: z.string(),
  args: Args,
  format: Format,
  componentPath: z.string().nullish(),
});
export type FunctionRequest = z.infer<typeof FunctionRequest>;

/** The usual form of a request, looked at by hand: this runs for every call over HTTP. */
export function isFunctionRequest(json: unknown): json is FunctionRequest {
  const { path, args, format, componentPath } = (json ?? {}) as Record<string, unknown>;
  return (
    typeof path === "string" &&
    typeof args === "object" &&
    (format === "convex_encoded_json" || format === "json") &&
    (componentPath === undefined || typeof componentPath === "string")
  );
}
export const QueryAtTs = FunctionRequest.extend({ ts: z.string() });
export const QueryBatch = z.object({ queries: z.array(FunctionRequest).max(1000) });
export const RunRequest = z.object({ args: Args, format: Format });
export const TestFunction = z.object({
  bundle: z.object({ path: z.string(), source: z.string() }),
  args: Args,
  format: Format,
  componentId: z.string().nullish(),
  componentPath: z.string().nullish(),
});
type TestFunction = z.infer<typeof TestFunction>;

/** The answer of a function over HTTP: status 200 for success and failure alike. */
export type FunctionAnswer =
  | { status: "success"; value: Json; logLines: string[] }
  | { status: "error"; errorMessage: string; errorData?: Json; logLines: string[] };

export type CallableKind = Exclude<FunctionKind, "httpAction">;
export type Requester = { caller: Caller; metadata: RequestMetadata };

const TRACE_LINES_MAX = 20;

/** Runs what `/api/query` and its siblings ask for. */
export class FunctionApi {
  readonly #deployment: Deployment;
  readonly #redact: boolean;

  /** With `redact`, callers other than admins learn no error texts and no log lines. */
  constructor(deployment: Deployment, redact: boolean) {
    this.#deployment = deployment;
    this.#redact = redact;
  }

  async run(kind: CallableKind, request: FunctionRequest, requester: Requester): Promise<FunctionAnswer> {
    return this.#answer(await this.#outcome(kind, request, requester), request.format, requester);
  }

  /** The same as JSON text, into which a result goes as it is. */
  async runToText(kind: CallableKind, request: FunctionRequest, requester: Requester): Promise<string> {
    const outcome = await this.#outcome(kind, request, requester);
    // Only the special forms look different in plain JSON.
    const isPlain = request.format !== "json" || (outcome.isSuccess && !outcome.value.includes('{"$'));
    if (!outcome.isSuccess || !isPlain)
      return JSON.stringify(this.#answer(outcome, request.format, requester));
    const logLines = this.logLines(outcome, requester);
    const logText = logLines.length === 0 ? "[]" : JSON.stringify(logLines);
    return `{"status":"success","value":${outcome.value},"logLines":${logText}}`;
  }

  #outcome(kind: CallableKind, request: FunctionRequest, requester: Requester): Promise<Outcome> {
    const { runner } = this.#deployment;
    const call = toCall(request, requester, requester.caller.isAdmin ? "any" : "public");
    if (kind === "query") return runner.query(call);
    return kind === "mutation" ? runner.mutation(call) : runner.action(call);
  }

  /** Runs a function of any kind, as `convex run` and `/api/run` do. */
  async runAny(request: FunctionRequest, requester: Requester): Promise<FunctionAnswer> {
    return await this.run(this.#kindOf(request.componentPath ?? ROOT, request.path), request, requester);
  }

  async queryAtTs(request: z.infer<typeof QueryAtTs>, requester: Requester): Promise<FunctionAnswer> {
    const { history, runner } = this.#deployment;
    const ts = decodeTs(request.ts);
    if (ts === null || !history.has(ts)) {
      throw new HttpProblem(
        400,
        "TimestampUnavailable",
        "The data of this timestamp is not kept any more, ask for a new one",
      );
    }
    const call = toCall(request, requester, requester.caller.isAdmin ? "any" : "public");
    return this.#answer(await runner.queryAt(call, ts), request.format, requester);
  }

  /** Runs the default export of a module that an admin sends: `convex run --inline-query`. */
  async runInline(request: TestFunction, requester: Requester): Promise<FunctionAnswer> {
    const component = request.componentId ?? request.componentPath ?? ROOT;
    const metadata = requester.metadata;
    try {
      const target = await loadInlineQuery(this.#deployment, component, request.bundle.source);
      const args = oneObject(request.args);
      const call: Call = {
        component,
        target,
        args,
        identity: requester.caller.identity,
        metadata,
        access: "any",
      };
      return this.#answer(await this.#deployment.runner.query(call), request.format, requester);
    } catch (error) {
      const failure = toFailure(error);
      return this.#answer({ isSuccess: false, failure, logLines: [] }, request.format, requester);
    }
  }

  queryTs(): { ts: string } {
    return { ts: encodeTs(this.#deployment.history.begin()) };
  }

  async queryBatch(
    { queries }: z.infer<typeof QueryBatch>,
    requester: Requester,
  ): Promise<{ results: FunctionAnswer[] }> {
    return { results: await Promise.all(queries.map((query) => this.run("query", query, requester))) };
  }

  /** Error text for a caller. */
  describeFailure(outcome: Outcome & { isSuccess: false }, { caller, metadata }: Requester): string {
    const head = `[Request ID: ${metadata.requestId}] Server Error`;
    return this.#redact && !caller.isAdmin ? head : `${head}\n${outcome.failure.message}`;
  }

  /** The answer of an HTTP action that has thrown. */
  failedHttpAction(failure: FunctionFailure, { requestId }: RequestMetadata): Response {
    const head = `[Request ID: ${requestId}] Server Error`;
    if (this.#redact) return Response.json({ code: head }, { status: 500 });
    const { cause, message } = failure;
    const frames =
      cause instanceof Error ? (cause.stack ?? "").split("\n").filter((line) => /^\s+at /.test(line)) : [];
    const trace = [message, ...frames.slice(0, TRACE_LINES_MAX)].join("\n");
    return Response.json({ code: `${head}: ${message}`, trace }, { status: 500 });
  }

  logLines(outcome: Outcome, { caller }: Requester): string[] {
    return this.#redact && !caller.isAdmin ? [] : outcome.logLines;
  }

  #answer(outcome: Outcome, format: FunctionRequest["format"], requester: Requester): FunctionAnswer {
    const logLines = this.logLines(outcome, requester);
    const present = (value: Json) => (format === "json" ? toPlainJson(value) : value);
    if (outcome.isSuccess)
      return { status: "success", value: present(JSON.parse(outcome.value) as Json), logLines };
    const { data } = outcome.failure;
    const errorMessage = this.describeFailure(outcome, requester);
    return {
      status: "error",
      errorMessage,
      ...(data === undefined ? {} : { errorData: present(data) }),
      logLines,
    };
  }

  /** An unknown function is taken for a query, whose failure says that it is not there. */
  #kindOf(component: string, path: string): CallableKind {
    const [file = "", name = ""] = canonicalPath(path).split(":");
    const object = functionObject(this.#deployment.components.get(component)?.modules.get(file)?.[name]);
    const kind = object === undefined ? undefined : kindOfFunction(object);
    return kind === undefined || kind === "httpAction" ? "query" : kind;
  }
}

function toCall(request: FunctionRequest, { caller, metadata }: Requester, access: Call["access"]): Call {
  const component = request.componentPath ?? ROOT;
  if (component !== ROOT && !caller.isAdmin) {
    throw new HttpProblem(403, "Forbidden", "Only an admin can call functions of components");
  }
  return {
    component,
    target: request.path,
    args: oneObject(request.args),
    identity: caller.identity,
    metadata,
    access,
  };
}

/** Arguments come as one object or as an array of one. */
export function oneObject(args: Json): Json {
  if (!Array.isArray(args)) return args;
  if (args.length === 0) return {};
  if (args.length > 1 || !isObject(args[0])) {
    throw new HttpProblem(400, "InvalidArguments", "Arguments must be one object, or an array of one object");
  }
  return args[0];
}
