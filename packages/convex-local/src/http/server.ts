import { randomBytes } from "node:crypto";
import type { Server } from "bun";
import { z } from "zod";
import { ANONYMOUS, type Caller, type Callers } from "../auth/caller.ts";
import { waitAtMost } from "../deadline.ts";
import type { Deployment } from "../deployment.ts";
import { Changes } from "../functions/environment.ts";
import { FunctionFailure } from "../functions/failure.ts";
import type { RequestMetadata } from "../functions/frame.ts";
import { StartPush } from "../push/request.ts";
import { type Socket, SyncServer } from "../sync/server.ts";
import { parseShape, readAnyJson, readBody, readJson } from "./body.ts";
import {
  type CallableKind,
  FunctionApi,
  FunctionRequest,
  isFunctionRequest,
  QueryAtTs,
  QueryBatch,
  type Requester,
  RunRequest,
  TestFunction,
} from "./functions.ts";
import { HttpProblem, toProblem } from "./problem.ts";
import { routeHttpAction } from "./router.ts";
import { download, FILE_BYTES_MAX, upload } from "./storage.ts";
import { transferRoutes } from "./transfer.ts";

export type ServerOptions = {
  host: string;
  /** 0 takes a free port. */
  port: number;
  sitePort: number;
  redact: boolean;
  /** The public ports belong to another process: these sockets are listened at, for it alone. */
  behind?: BehindDoor | undefined;
};

/** Where the door finds the engine, and the header field in which it says by which passage a request came, and whose. */
export type BehindDoor = { apiSocket: string; siteSocket: string; field: string };

const HTTP_ACTION_BYTES_MAX = 20 * 1024 * 1024;
const LOG_POLL_MS = 60_000;
/** Requests that are running at a stop have this long to end. */
const DRAIN_MS_MAX = 10_000;
/** Actions may be silent for as long as they run; other requests are not. */
const IDLE_SECONDS_MAX = 120;
const LONG_RUNNING =
  /^\/api\/(?:function|run\/.+|stream_function_logs|export\/zip\/.+|import\/upload_part|tyto\/backup)$/;
const CALLS: Record<string, CallableKind> = Object.assign(Object.create(null), {
  "/api/query": "query",
  "/api/mutation": "mutation",
  "/api/action": "action",
});
const JSON_TEXT = { headers: { "content-type": "application/json;charset=utf-8" } };
const VERSION = "convex-local";

export type Handler = (request: Request, requester: Requester, url: URL) => Promise<Response> | Response;

const comeAgain = () =>
  new Response("The deployment is starting; try again in a moment\n", {
    status: 503,
    headers: { "retry-after": "1" },
  });

/** The two ports of a deployment: the API with its WebSocket, and HTTP actions. */
export class HttpServer {
  readonly #deployment: Deployment;
  readonly #callers: Callers;
  readonly #functions: FunctionApi;
  readonly #sync: SyncServer;
  readonly #api: Server<Socket>;
  readonly #site: Server<undefined>;
  readonly #routes: Record<string, Handler>;
  readonly #introduction: string | null;
  /** Functions that are stored but not loaded yet would be "not found", which callers take for an answer. */
  #isOpen = false;

  constructor(
    deployment: Deployment,
    callers: Callers,
    { host, port, sitePort, redact, behind }: ServerOptions,
  ) {
    this.#deployment = deployment;
    this.#introduction = behind?.field ?? null;
    this.#callers = callers;
    this.#functions = new FunctionApi(deployment, redact);
    this.#sync = new SyncServer(deployment, callers, this.#functions);
    this.#routes = this.#apiRoutes();
    this.#api = Bun.serve<Socket>({
      ...listenAt(host, port, behind?.apiSocket),
      maxRequestBodySize: FILE_BYTES_MAX,
      idleTimeout: IDLE_SECONDS_MAX,
      fetch: (request, server) => (this.#isOpen ? this.#answerApi(request, server) : comeAgain()),
      websocket: this.#sync.handler,
    });
    this.#site = Bun.serve({
      ...listenAt(host, sitePort, behind?.siteSocket),
      maxRequestBodySize: HTTP_ACTION_BYTES_MAX,
      idleTimeout: IDLE_SECONDS_MAX,
      fetch: (request, server) =>
        this.#isOpen
          ? this.#guard(request, () => this.#httpAction(request, server, new URL(request.url)))
          : comeAgain(),
    });
  }

  /** From now on requests are answered; before, everybody is asked to come again. */
  open(): void {
    this.#isOpen = true;
  }

  get port(): number {
    return this.#api.port ?? 0;
  }

  get sitePort(): number {
    return this.#site.port ?? 0;
  }

  /** Takes no new requests, closes sockets and waits for requests that are running. */
  async stop(): Promise<void> {
    this.#sync.stop();
    const servers = [this.#api, this.#site];
    await waitAtMost(Promise.all(servers.map((server) => server.stop())), DRAIN_MS_MAX);
    await Promise.all(servers.map((server) => server.stop(true)));
  }

  async #answerApi(request: Request, server: Server<Socket>): Promise<Response | undefined> {
    const kind = request.method === "POST" ? CALLS[pathOf(request.url)] : undefined;
    if (kind !== undefined)
      return withCors(request, await this.#guard(request, () => this.#call(kind, request, server)));
    const url = new URL(request.url);
    if (request.method === "OPTIONS" && !url.pathname.startsWith("/http/")) {
      return withCors(request, new Response(null, { status: 204 }));
    }
    const sync = /^\/api(?:\/([\w.-]+))?\/sync$/.exec(url.pathname);
    if (sync !== null) {
      const data = this.#sync.accept(this.#metadata(request, server), sync[1] ?? null);
      if (server.upgrade(request, { data })) return undefined;
      return withCors(
        request,
        problemResponse(new HttpProblem(400, "WebSocketExpected", "Connect with a WebSocket")),
      );
    }
    if (url.pathname.startsWith("/http/")) {
      url.pathname = url.pathname.slice("/http".length);
      return await this.#guard(request, () => this.#httpAction(request, server, url));
    }
    return withCors(request, await this.#guard(request, () => this.#route(request, server, url)));
  }

  /** What nearly all requests are: one function, called by name. */
  async #call(kind: CallableKind, request: Request, server: Server<Socket>): Promise<Response> {
    if (kind === "action") server.timeout(request, 0);
    const authorization = request.headers.get("authorization");
    const caller = authorization === null ? ANONYMOUS : await this.#callers.of(authorization);
    const json = await readAnyJson(request);
    const call = isFunctionRequest(json) ? json : parseShape(json, FunctionRequest);
    const requester = { caller, metadata: this.#metadata(request, server, caller) };
    return new Response(await this.#functions.runToText(kind, call, requester), JSON_TEXT);
  }

  async #route(request: Request, server: Server<Socket>, url: URL): Promise<Response> {
    const uuid = /^\/api\/storage\/([\w-]+)$/.exec(url.pathname)?.[1];
    if (uuid !== undefined && uuid !== "upload" && ["GET", "HEAD"].includes(request.method)) {
      return download(this.#deployment, request, uuid);
    }
    const open = /^(\/api\/(?:run|export\/zip))\/.+$/.exec(url.pathname)?.[1];
    const key = `${request.method} ${open ?? url.pathname}`;
    if (LONG_RUNNING.test(url.pathname)) server.timeout(request, 0);
    const handler = Object.hasOwn(this.#routes, key) ? this.#routes[key] : undefined;
    if (handler === undefined)
      throw new HttpProblem(404, "NotFound", `There is no ${request.method} ${url.pathname}`);
    const caller = await this.#callers.of(request.headers.get("authorization"));
    return await handler(request, { caller, metadata: this.#metadata(request, server, caller) }, url);
  }

  #apiRoutes(): Record<string, Handler> {
    const deployment = this.#deployment;
    const { pushes, environment, logs, instanceName } = deployment;
    const functions = this.#functions;
    const text =
      (body: string): Handler =>
      () =>
        new Response(body);
    return {
      "GET /": text("This Convex deployment is running."),
      "GET /version": text(VERSION),
      "GET /instance_name": text(instanceName),
      "GET /instance_version": text(VERSION),

      "GET /api/query": async (_request, requester, { searchParams }) =>
        Response.json(await functions.run("query", fromSearch(searchParams), requester)),
      "POST /api/query_ts": () => Response.json(functions.queryTs()),
      "POST /api/query_at_ts": async (request, requester) =>
        Response.json(await functions.queryAtTs(await readJson(request, QueryAtTs), requester)),
      "POST /api/query_batch": async (request, requester) =>
        Response.json(await functions.queryBatch(await readJson(request, QueryBatch), requester)),
      "POST /api/run": async (request, requester, { pathname }) => {
        const path = functionPath(pathname.slice("/api/run/".length));
        const { args, format } = await readJson(request, RunRequest);
        return Response.json(await functions.runAny({ path, args, format }, requester));
      },
      "POST /api/function": admin(async (request, requester) =>
        Response.json(await functions.runAny(await readJson(request, FunctionRequest), requester)),
      ),

      "POST /api/run_test_function": admin(async (request, requester) =>
        Response.json(await functions.runInline(await readJson(request, TestFunction), requester)),
      ),

      "POST /api/storage/upload": (request, _requester, { searchParams }) =>
        upload(deployment, request, searchParams.get("token")),

      "POST /api/get_config_hashes": admin(() =>
        Response.json({
          config: { functions: "convex/" },
          moduleHashes: pushes.hashes(),
          nodeDependencies: [],
          udfServerVersion: pushes.serverVersion(),
        }),
      ),
      "POST /api/deploy2/start_push": admin(async (request) =>
        Response.json(await pushes.start(await readJson(request, StartPush))),
      ),
      "POST /api/deploy2/evaluate_push": admin(async (request) =>
        Response.json(await pushes.evaluate(await readJson(request, StartPush))),
      ),
      "POST /api/deploy2/evaluate_schema": admin(async (request) =>
        Response.json(await pushes.evaluate(await readJson(request, StartPush))),
      ),
      "POST /api/deploy2/wait_for_schema": admin(async (request) => {
        const { schemaChange } = await readJson(request, WaitForSchema);
        const failure = pushes.check(schemaChange.schemaIds[""]);
        return Response.json(failure === null ? { type: "complete" } : { type: "failed", ...failure });
      }),
      "POST /api/deploy2/finish_push": admin(async (request) => {
        const { startPush, dryRun } = await readJson(request, FinishPush);
        const finished = await pushes.finish(startPush.schemaChange.schemaIds[""], dryRun);
        if (!dryRun) deployment.guard.forget();
        return Response.json(finished);
      }),
      "POST /api/deploy2/report_push_completed": admin(() => Response.json(null)),
      "GET /api/v1/get_canonical_urls": admin(() => {
        const { CONVEX_CLOUD_URL: convexCloudUrl, CONVEX_SITE_URL: convexSiteUrl } = environment.visible("");
        return Response.json({ convexCloudUrl, convexSiteUrl });
      }),

      "POST /api/update_environment_variables": admin(async (request) => {
        const { changes } = await readJson(request, z.object({ changes: Changes }));
        await deployment.updateEnvironment(changes);
        return Response.json(null);
      }),
      ...Object.fromEntries(
        Object.entries(transferRoutes(deployment)).map(([route, handler]) => [route, admin(handler)]),
      ),
      "GET /api/stream_function_logs": admin(async (_request, _requester, { searchParams }) =>
        Response.json(await logs.after(Number(searchParams.get("cursor") ?? 0), LOG_POLL_MS)),
      ),
    };
  }

  async #httpAction(request: Request, server: Server<unknown>, url: URL): Promise<Response> {
    const body = request.body === null ? null : await readBody(request, HTTP_ACTION_BYTES_MAX);
    const { method, headers } = request;
    const caller = await this.#siteCaller(request);
    server.timeout(request, 0);
    const metadata = this.#metadata(request, server, caller);
    if (this.#introduction !== null) headers.delete(this.#introduction);
    const inner = new Request(
      url,
      method === "GET" || method === "HEAD" ? { method, headers } : { method, headers, body },
    );
    try {
      return await routeHttpAction(this.#deployment, inner, { identity: caller.identity, metadata });
    } catch (error) {
      // It is in the log already; who asks gets it too, unless errors are hidden.
      if (error instanceof FunctionFailure) return this.#functions.failedHttpAction(error, metadata);
      throw error;
    }
  }

  #metadata(request: Request, server: Server<unknown>, caller?: Caller): RequestMetadata {
    const metadata = metadataOf(request, server, caller);
    if (this.#introduction === null) return metadata;
    const [passage, ip = null] = request.headers.get(this.#introduction)?.split(" ") ?? [];
    return { ...metadata, ip, passage: Number(passage ?? -1) };
  }

  /** HTTP actions may use Authorization for themselves: what is no token of ours is ignored. */
  async #siteCaller(request: Request): Promise<Caller> {
    const authorization = request.headers.get("authorization");
    if (authorization === null || !authorization.startsWith("Bearer ")) return ANONYMOUS;
    try {
      return await this.#callers.of(authorization);
    } catch (error) {
      if (toProblem(error) !== undefined) return ANONYMOUS;
      throw error;
    }
  }

  async #guard(request: Request, work: () => Promise<Response>): Promise<Response> {
    try {
      return await work();
    } catch (error) {
      const problem = toProblem(error);
      if (problem !== undefined) return problemResponse(problem);
      // A failed HTTP action is in the log already.
      if (!(error instanceof FunctionFailure)) {
        this.#deployment.log("http.failed", {
          method: request.method,
          path: new URL(request.url).pathname,
          error,
        });
      }
      return problemResponse(
        new HttpProblem(500, "InternalServerError", "Your request couldn't be completed. Try again later."),
      );
    }
  }
}

const PushId = z.object({ schemaIds: z.object({ "": z.string() }) });
const WaitForSchema = z.object({ schemaChange: PushId });
const FinishPush = z.object({
  startPush: z.object({ schemaChange: PushId }),
  dryRun: z.boolean().default(false),
});

/** Lets nobody but admins through. */
const admin =
  (handler: Handler): Handler =>
  (request, requester, url) => {
    if (!requester.caller.isAdmin) throw new HttpProblem(401, "Unauthorized", "This needs the admin key");
    return handler(request, requester, url);
  };

function fromSearch(search: URLSearchParams): FunctionRequest {
  try {
    const args: unknown = JSON.parse(search.get("args") ?? "{}");
    return FunctionRequest.parse({
      path: search.get("path"),
      args,
      format: search.get("format") ?? undefined,
    });
  } catch (error) {
    throw new HttpProblem(
      400,
      "InvalidQuery",
      `path and args (JSON) are expected: ${(error as Error).message}`,
    );
  }
}

/** "dir/file/fn" of a URL as "dir/file:fn". */
function functionPath(encoded: string): string {
  try {
    return decodeURIComponent(encoded).replace(/\/([^/:]+)$/, ":$1");
  } catch (error) {
    throw new HttpProblem(400, "InvalidPath", `The path is not a URL: ${(error as Error).message}`);
  }
}

/** The path of an absolute URL as it stands there, up to a query. */
function pathOf(url: string): string {
  const start = url.indexOf("/", url.indexOf("://") + 3);
  const end = url.indexOf("?", start);
  return end === -1 ? url.slice(start) : url.slice(start, end);
}

/** Bun's types know ports and Unix sockets, but no choice between them. */
const listenAt = (hostname: string, port: number, unix: string | undefined) =>
  (unix === undefined ? { hostname, port } : { unix }) as { hostname: string; port: number };

/** Names one request among those of all processes: the first half is of this process. */
const processId = randomBytes(4).toString("hex");
let requests = 0;
function nextRequestId(): string {
  requests = (requests + 1) >>> 0;
  return processId + requests.toString(16).padStart(8, "0");
}

const metadataOf = (
  request: Request,
  server: Server<unknown>,
  { identity, isAdmin }: Caller = ANONYMOUS,
): RequestMetadata => ({
  requestId: nextRequestId(),
  ip: server.requestIP(request)?.address ?? null,
  userAgent: request.headers.get("user-agent"),
  scheduledFunctionId: null,
  authToken:
    identity === null || isAdmin
      ? null
      : (request.headers.get("authorization")?.replace(/^Bearer /, "") ?? null),
});

const problemResponse = ({ status, code, message }: HttpProblem) =>
  Response.json({ code, message }, { status });

/** Browsers of any origin may call the API; tokens, not cookies, say who they are. */
function withCors(request: Request, response: Response): Response {
  const origin = request.headers.get("origin");
  if (origin === null) return response;
  response.headers.set("access-control-allow-origin", origin);
  response.headers.set("access-control-allow-credentials", "true");
  response.headers.set("vary", "origin");
  if (request.method === "OPTIONS") {
    response.headers.set("access-control-allow-methods", "GET,POST,PUT,PATCH,DELETE,HEAD,OPTIONS");
    response.headers.set(
      "access-control-allow-headers",
      request.headers.get("access-control-request-headers") ?? "authorization,content-type,convex-client",
    );
    response.headers.set("access-control-max-age", "86400");
  }
  return response;
}
