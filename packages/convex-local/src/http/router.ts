import type { Identity } from "../auth/identity.ts";
import { mountOf } from "../components/mount.ts";
import { type Deployment, ROOT } from "../deployment.ts";
import type { RequestMetadata } from "../functions/frame.ts";
import { type FunctionObject, functionObject } from "../functions/module.ts";

/** The part of `HttpRouter` that is needed to find a handler. */
type Router = {
  isRouter: true;
  lookup(path: string, method: string): readonly [unknown, string, string] | null;
  getRoutes(): readonly (readonly [string, string, unknown])[];
};

const METHODS = new Set(["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"]);

/** The router that `http.ts` exports, if there is one. */
export function routerOf(exports: Record<string, unknown> | undefined): Router | undefined {
  const router = exports?.default;
  return typeof router === "object" && router !== null && "isRouter" in router
    ? (router as Router)
    : undefined;
}

/** Answers a request with the HTTP action that is routed for it. Throws FunctionFailure when the action throws. */
export async function routeHttpAction(
  deployment: Deployment,
  request: Request,
  caller: { identity: Identity | null; metadata: RequestMetadata },
): Promise<Response> {
  const { pathname } = new URL(request.url);
  const { component, path } = mountOf(deployment.components, pathname) ?? {};
  const router = routerOf(component?.modules.get("http"));
  const match =
    METHODS.has(request.method) && path !== undefined ? router?.lookup(path, request.method) : undefined;
  const action: FunctionObject | undefined = functionObject(match?.[0]);
  if (match === undefined || match === null || action === undefined) {
    // Unless the app has keys of its own there.
    if (pathname === "/.well-known/jwks.json" && request.method === "GET") {
      return Response.json({ keys: [deployment.signing.jwk] });
    }
    const text =
      router === undefined
        ? "This Convex deployment does not have HTTP actions enabled."
        : `No HttpAction routed for ${pathname}`;
    return new Response(text, { status: 404 });
  }
  const [, method, route] = match;
  const response = await deployment.runner.httpAction(action, `${method} ${route}`, request, {
    component: component?.path ?? ROOT,
    access: "public",
    ...caller,
  });
  if (request.method !== "HEAD") return response;
  return new Response(null, { status: response.status, headers: response.headers });
}
