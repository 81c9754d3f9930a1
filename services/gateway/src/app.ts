/** Everything behind one address: the public API, the dashboard's own routes and its files. */
import { Failure } from "@tyto/contracts";
import { type Check, type Log, noTracer, type Tracer } from "@tyto/service";
import type { Context } from "hono";
import { routePath } from "hono/route";
import { type Api, type GatewayEnv, newApi } from "./api.ts";
import type { Auth } from "./auth.ts";
import type { Metrics } from "./metrics.ts";
import { describeApi, type PublicPorts, publicRoutes } from "./openapi.ts";
import { failureOf, problemResponse } from "./problems.ts";
import { convex } from "./routes/convex.ts";
import { docs } from "./routes/docs.ts";
import { health } from "./routes/health.ts";
import { inbound } from "./routes/inbound.ts";
import { session } from "./routes/session.ts";
import { setup } from "./routes/setup.ts";
import { signIn } from "./routes/sign-in.ts";
import { type UnsubscribePorts, unsubscribe } from "./routes/unsubscribe.ts";
import type { Spa } from "./spa.ts";
import type { Tokens } from "./tokens.ts";

export type AppPorts = PublicPorts & {
  auth: Auth;
  unsubscribe: UnsubscribePorts;
  tokens: Tokens;
  convexUrl: string;
  /** The dashboard; absent when only the API is served. */
  spa: Spa | undefined;
  checks: Readonly<Record<string, Check>>;
  metrics: Metrics;
  tracer?: Tracer | undefined;
  log: Log;
  trustProxy: boolean;
};

/** Paths that are never a page of the dashboard. */
const notPages = /^\/(v1|api|convex|u)(\/|$)/;
const requestIdPattern = /^[\w.:-]{1,100}$/;

export function createApp(ports: AppPorts): Api {
  const { auth, tokens, convexUrl, spa, checks, metrics, log, trustProxy } = ports;
  const { tracer = noTracer } = ports;
  const { isOwnOrigin } = ports.guards.callers;
  const api = newApi();

  api.use(async (c, next) => {
    const startedAtMs = performance.now();
    const given = c.req.header("x-request-id") ?? "";
    c.set("requestId", requestIdPattern.test(given) ? given : crypto.randomUUID());
    const { method, path } = c.req;
    const span =
      tracer.isOn && method === "POST" && path.startsWith("/v1/emails")
        ? tracer.begin("api.accept", { kind: "server", parent: c.req.header("traceparent") })
        : undefined;
    c.set("traceparent", span?.traceparent);
    await next();
    span?.end(
      {
        ...{ "http.request.method": method, "http.route": routePath(c, -1) },
        ...{ "http.response.status_code": c.res.status, "tyto.request": c.get("requestId") },
      },
      c.res.status >= 500 ? `answered ${c.res.status}` : undefined,
    );
    c.header("X-Request-Id", c.get("requestId"));
    c.header("X-Content-Type-Options", "nosniff");
    c.header("Referrer-Policy", "same-origin");
    const route = routePath(c, -1);
    metrics.requests.inc({ method, route, status: c.res.status });
    metrics.seconds.observe({ method, route }, (performance.now() - startedAtMs) / 1_000);
  });

  const refuse = (error: unknown, c: Context<GatewayEnv>): Response => {
    const failure = failureOf(error);
    const requestId = c.get("requestId");
    metrics.failures.inc({ code: failure.code });
    // Who has gone away hears nothing of it, and it is nobody's mistake here.
    if (failure.row.http >= 500 && !c.req.raw.signal.aborted)
      log.error("request.failed", { requestId, code: failure.code, detail: failure.message, error });
    else log.debug("request.refused", { requestId, code: failure.code, detail: failure.message });
    const answer = problemResponse(failure, requestId);
    // Keeps the headers that were set before the failure, such as what is left of the quota.
    return c.newResponse(answer.body, answer);
  };
  api.onError(refuse);

  publicRoutes(api, ports);
  setup(api, { auth, isOwnOrigin });
  session(api, { auth, tokens });
  signIn(api, { auth, trustProxy });
  convex(api, { auth, convexUrl, isOwnOrigin });
  inbound(api, { auth, store: ports.store, convexUrl });
  health(api, checks);
  docs(api, describeApi(api));
  unsubscribe(api, ports.unsubscribe);

  const methods = methodsByPath(api);
  api.notFound((c) => {
    const { path, method } = c.req;
    const known = methods(path);
    if (known.length > 0 && !known.includes(method)) {
      c.header("Allow", known.join(", "));
      return refuse(
        new Failure("method.unknown", `${method} ${path}`, { hint: `Use ${known.join(" or ")}` }),
        c,
      );
    }
    const isRead = method === "GET" || method === "HEAD";
    const page = isRead && !notPages.test(path) ? spa?.(c.req.raw) : undefined;
    const unknown = () => new Failure("resource.unknown", path, { hint: "The API is described at /docs" });
    return page ?? refuse(unknown(), c);
  });
  return api;
}

/** The methods that a path answers to, by the routes that the app has. */
function methodsByPath(api: Api): (path: string) => string[] {
  const routes = api.routes
    .filter(({ method, path }) => method !== "ALL" && !path.includes("*"))
    .map(({ method, path }) => ({
      method,
      pattern: new RegExp(`^${path.replaceAll(".", "\\.").replace(/:[^/]+/g, "[^/]+")}$`),
    }));
  return (path) => [
    ...new Set(routes.filter(({ pattern }) => pattern.test(path)).map(({ method }) => method)),
  ];
}
