import { Failure } from "@tyto/contracts";
import type { MiddlewareHandler } from "hono";
import { type Api, bounded, type GatewayEnv } from "../api.ts";
import type { Auth } from "../auth.ts";
import { foreignOrigin } from "../caller.ts";
import { convexTarget, relayBodyBytesMax, relayHttp, upgrade } from "../proxy.ts";
import { signedIn } from "./session.ts";

export type ConvexPorts = {
  auth: Pick<Auth, "person">;
  convexUrl: string;
  isOwnOrigin(request: Request): boolean;
};

/** /convex/*: the browser's way to Convex, for people who are signed in. */
export function convex(api: Api, { auth, convexUrl, isOwnOrigin }: ConvexPorts): void {
  const forPeople: MiddlewareHandler<GatewayEnv> = async (c, next) => {
    const kind = convexTarget(targetOf(c.req.path), c.req.method);
    if (kind === undefined)
      throw new Failure("resource.unknown", `not for browsers: ${targetOf(c.req.path)}`);
    // Another site's page has no business with our Convex, whoever looks at it.
    if (kind !== "file" && !isOwnOrigin(c.req.raw)) throw foreignOrigin();
    // Convex asks who calls each function; here it is that strangers take no socket and no bytes of those who may.
    await signedIn(auth, c.req.raw.headers);
    await next();
  };
  api.all("/convex/*", forPeople, bounded(relayBodyBytesMax), async (c) => {
    const path = targetOf(c.req.path);
    if (convexTarget(path, c.req.method) !== "socket") return relayHttp(c.req.raw, convexUrl, path);
    const { server } = c.env;
    if (server !== undefined && upgrade(c.req.raw, server, convexUrl, path))
      // Bun has answered with 101 itself; this response goes nowhere.
      return c.body(null);
    throw new Failure("request.invalid", "no WebSocket handshake", {
      hint: "Open this address as a WebSocket",
    });
  });
}

const targetOf = (path: string) => path.slice("/convex".length);
