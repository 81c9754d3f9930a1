import { type Api, createRoute, type GuardPorts, guard, problems, secured } from "../api.ts";
import { EmailPage, EmailQuery } from "../schemas.ts";
import type { Store } from "../store.ts";

/** GET /v1/emails */
export function listEmails(api: Api, guards: GuardPorts, store: Pick<Store, "listEmails">): void {
  const route = createRoute({
    method: "get",
    path: "/v1/emails",
    operationId: "listEmails",
    tags: ["Emails"],
    summary: "List messages, newest first",
    description: "A page may hold fewer rows than asked for; the last one has next_cursor null.",
    security: secured,
    middleware: [guard(guards, "emails:read")] as const,
    request: { query: EmailQuery },
    responses: {
      200: { description: "A page", content: { "application/json": { schema: EmailPage } } },
      ...problems(),
    },
  });
  api.openapi(route, async (c) => {
    const { cursor = null, limit, ...filter } = c.req.valid("query");
    return c.json(await store.listEmails(filter, { cursor, limit }), 200);
  });
}
