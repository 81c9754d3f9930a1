import { type Api, createRoute, type GuardPorts, guard, problems, secured } from "../api.ts";
import { InboxList } from "../schemas.ts";
import type { Store } from "../store.ts";

/** GET /v1/inboxes */
export function listInboxes(api: Api, guards: GuardPorts, store: Pick<Store, "listInboxes">): void {
  const route = createRoute({
    method: "get",
    path: "/v1/inboxes",
    operationId: "listInboxes",
    tags: ["Inboxes"],
    summary: "List addresses that mail is taken for, by address",
    security: secured,
    middleware: [guard(guards, "domains:write")] as const,
    responses: {
      200: { description: "All of them", content: { "application/json": { schema: InboxList } } },
      ...problems(),
    },
  });
  api.openapi(route, async (c) => c.json({ data: await store.listInboxes() }, 200));
}
