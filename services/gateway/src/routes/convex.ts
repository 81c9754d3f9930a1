import { Failure } from "@tyto/contracts";
import { type Api, bounded } from "../api.ts";
import { foreignOrigin } from "../caller.ts";
import { convexTarget, relayBodyBytesMax, relayHttp, upgrade } from "../proxy.ts";

export type ConvexPorts = { convexUrl: string; isOwnOrigin(request: Request): boolean };

/** /convex/*: the browser's way to Convex. */
export function convex(api: Api, { convexUrl, isOwnOrigin }: ConvexPorts): void {
  api.all("/convex/*", bounded(relayBodyBytesMax), async (c) => {
    const path = c.req.path.slice("/convex".length);
    const kind = convexTarget(path, c.req.method);
    if (kind === undefined) throw new Failure("resource.unknown", `not for browsers: ${path}`);
    // A socket and a call carry no cookie, but another site's page has no business with our Convex either.
    if (kind !== "file" && !isOwnOrigin(c.req.raw)) throw foreignOrigin();
    if (kind !== "socket") return relayHttp(c.req.raw, convexUrl, path);
    const { server } = c.env;
    if (server !== undefined && upgrade(c.req.raw, server, convexUrl, path))
      // Bun has answered with 101 itself; this response goes nowhere.
      return c.body(null);
    throw new Failure("request.invalid", "no WebSocket handshake", {
      hint: "Open this address as a WebSocket",
    });
  });
}
