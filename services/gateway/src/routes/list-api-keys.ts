import { type Api, createRoute, type GuardPorts, guard, problems, secured } from "../api.ts";
import { ApiKeyList } from "../schemas.ts";
import type { Store } from "../store.ts";

/** GET /v1/api-keys */
export function listApiKeys(api: Api, guards: GuardPorts, store: Pick<Store, "listApiKeys">): void {
  const route = createRoute({
    method: "get",
    path: "/v1/api-keys",
    operationId: "listApiKeys",
    tags: ["API keys"],
    summary: "List API keys, newest first",
    security: secured,
    middleware: [guard(guards, "admin")] as const,
    responses: {
      200: { description: "All keys", content: { "application/json": { schema: ApiKeyList } } },
      ...problems(),
    },
  });
  api.openapi(route, async (c) => c.json({ data: await store.listApiKeys() }, 200));
}
