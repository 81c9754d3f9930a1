import { type Api, bounded, smallBodyBytesMax } from "../api.ts";
import type { Auth } from "../auth.ts";

export type SignInPorts = { auth: Pick<Auth, "handle">; trustProxy: boolean };

/** /api/auth/*: signing in and out, by the library's own routes as far as auth.ts lets them through. */
export function signIn(api: Api, { auth, trustProxy }: SignInPorts): void {
  api.on(["GET", "POST"], "/api/auth/*", bounded(smallBodyBytesMax), (c) => {
    // The last entry is what our own proxy saw; those before it came from outside.
    const forwarded = trustProxy ? c.req.header("x-forwarded-for")?.split(",").pop()?.trim() : undefined;
    const direct = c.env.server?.requestIP(c.req.raw)?.address;
    return auth.handle(c.req.raw, forwarded ?? direct ?? "unknown");
  });
}
