import { type Api, createRoute, type GuardPorts, guard, problems, secured } from "../api.ts";
import { PageQuery, SuppressionPage } from "../schemas.ts";
import type { Store } from "../store.ts";

/** GET /v1/suppressions */
export function listSuppressions(api: Api, guards: GuardPorts, store: Pick<Store, "listSuppressions">): void {
  const route = createRoute({
    method: "get",
    path: "/v1/suppressions",
    operationId: "listSuppressions",
    tags: ["Suppressions"],
    summary: "List addresses that get no mail, by address",
    security: secured,
    middleware: [guard(guards, "suppressions:write")] as const,
    request: { query: PageQuery },
    responses: {
      200: { description: "A page", content: { "application/json": { schema: SuppressionPage } } },
      ...problems(),
    },
  });
  api.openapi(route, async (c) => {
    const { cursor = null, limit } = c.req.valid("query");
    return c.json(await store.listSuppressions({ cursor, limit }), 200);
  });
}
