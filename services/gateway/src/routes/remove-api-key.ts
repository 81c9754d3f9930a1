import { z } from "@hono/zod-openapi";
import { type ApiKeyRecord, Failure } from "@tyto/contracts";
import { type Api, createRoute, type GuardPorts, guard, problems, secured } from "../api.ts";
import type { Mirror } from "../mirror.ts";
import type { Store } from "../store.ts";

export type RemoveApiKeyPorts = {
  store: Pick<Store, "removeApiKey">;
  mirror: Pick<Mirror<ApiKeyRecord>, "expect" | "keysWhere">;
};

/** DELETE /v1/api-keys/{id} */
export function removeApiKey(api: Api, guards: GuardPorts, { store, mirror }: RemoveApiKeyPorts): void {
  const route = createRoute({
    method: "delete",
    path: "/v1/api-keys/{id}",
    operationId: "removeApiKey",
    tags: ["API keys"],
    summary: "Remove an API key",
    description: "The key stops working at once.",
    security: secured,
    middleware: [guard(guards, "admin")] as const,
    request: { params: z.object({ id: z.string().max(64) }) },
    responses: { 204: { description: "It is gone" }, ...problems("resource.unknown") },
  });
  api.openapi(route, async (c) => {
    const { id } = c.req.valid("param");
    const wasThere = await store.removeApiKey(id);
    for (const hash of mirror.keysWhere(({ apiKeyId }) => apiKeyId === id)) mirror.expect(hash, undefined);
    if (!wasThere) throw new Failure("resource.unknown", "no such key", { hint: "No API key has this id" });
    return c.body(null, 204);
  });
}
