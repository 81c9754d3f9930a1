import { type ApiKeyRecord, defaultOrganization } from "@tyto/contracts";
import {
  type Api,
  bounded,
  createRoute,
  type GuardPorts,
  guard,
  problems,
  secured,
  smallBodyBytesMax,
} from "../api.ts";
import { newApiKey } from "../keys.ts";
import type { Mirror } from "../mirror.ts";
import { ApiKeyCreate, ApiKeyCreated } from "../schemas.ts";
import type { Store } from "../store.ts";

export type CreateApiKeyPorts = {
  store: Pick<Store, "addApiKey">;
  mirror: Pick<Mirror<ApiKeyRecord>, "expect">;
};

/** POST /v1/api-keys */
export function createApiKey(api: Api, guards: GuardPorts, { store, mirror }: CreateApiKeyPorts): void {
  const route = createRoute({
    method: "post",
    path: "/v1/api-keys",
    operationId: "createApiKey",
    tags: ["API keys"],
    summary: "Make an API key",
    description: "`key` is shown in this answer and never again. It works at once.",
    security: secured,
    middleware: [guard(guards, "admin"), bounded(smallBodyBytesMax)] as const,
    request: { body: { required: true, content: { "application/json": { schema: ApiKeyCreate } } } },
    responses: {
      201: { description: "The key", content: { "application/json": { schema: ApiKeyCreated } } },
      ...problems("request.too-large", "request.unsupported-type"),
    },
  });
  api.openapi(route, async (c) => {
    const { name, scopes } = c.req.valid("json");
    const made = newApiKey();
    const view = await store.addApiKey(made, name, [...new Set(scopes)]);
    mirror.expect(made.hash, {
      apiKeyId: view.id,
      organizationId: defaultOrganization,
      name,
      scopes: view.scopes,
      createdAt: Date.parse(view.created_at),
    });
    c.header("Cache-Control", "no-store");
    return c.json({ ...view, key: made.key }, 201);
  });
}
