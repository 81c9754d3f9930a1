import { type Api, boundedForStrangers, createRoute, problems, strangerBodyBytesMax } from "../api.ts";
import type { Auth } from "../auth.ts";
import { foreignOrigin } from "../caller.ts";
import { SetupRequest, SetupState } from "../schemas.ts";

export type SetupPorts = {
  auth: Pick<Auth, "isSetupNeeded" | "setup">;
  isOwnOrigin(request: Request): boolean;
};

/** GET and POST /api/setup: the first start. Hidden from the reference: it is the dashboard's. */
export function setup(api: Api, { auth, isOwnOrigin }: SetupPorts): void {
  api.openapi(
    createRoute({
      hide: true,
      method: "get",
      path: "/api/setup",
      responses: {
        200: { description: "State", content: { "application/json": { schema: SetupState } } },
        ...problems(),
      },
    }),
    async (c) => c.json({ needed: await auth.isSetupNeeded() }, 200),
  );
  api.openapi(
    createRoute({
      hide: true,
      method: "post",
      path: "/api/setup",
      middleware: [boundedForStrangers(strangerBodyBytesMax)] as const,
      request: { body: { required: true, content: { "application/json": { schema: SetupRequest } } } },
      responses: { 200: { description: "Signed in" }, ...problems("setup.done") },
    }),
    async (c) => {
      // A page of another site must not be first. A request without Origin is no browser's.
      if (c.req.header("origin") !== undefined && !isOwnOrigin(c.req.raw)) throw foreignOrigin();
      return auth.setup(c.req.valid("json"), c.req.raw);
    },
  );
}
