import type { MiddlewareHandler } from "hono";
import { type Api, boundedForStrangers, type GatewayEnv, strangerBodyBytesMax } from "../api.ts";
import type { Auth } from "../auth.ts";

export type SignInPorts = { auth: Pick<Auth, "handle">; trustProxy: boolean };

/** /api/auth/*: signing in and out, by the library's own routes as far as auth.ts lets them through. */
export function signIn(api: Api, { auth, trustProxy }: SignInPorts): void {
  /** Whom the server knows by the request as it came, before its body is read. */
  const lookAtAddress: MiddlewareHandler<GatewayEnv> = async (c, next) => {
    // The last entry is what our own proxy saw; those before it came from outside.
    const forwarded = trustProxy ? c.req.header("x-forwarded-for")?.split(",").pop()?.trim() : undefined;
    c.set("clientIp", forwarded ?? c.env.server?.requestIP(c.req.raw)?.address);
    await next();
  };
  api.on(["GET", "POST"], "/api/auth/*", lookAtAddress, boundedForStrangers(strangerBodyBytesMax), (c) =>
    auth.handle(c.req.raw, c.get("clientIp") ?? "unknown"),
  );
}
