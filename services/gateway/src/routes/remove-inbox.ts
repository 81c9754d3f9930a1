import { z } from "@hono/zod-openapi";
import { Failure } from "@tyto/contracts";
import { type Api, createRoute, type GuardPorts, guard, problems, secured } from "../api.ts";
import { InboxPattern } from "../schemas.ts";
import type { Store } from "../store.ts";

/** DELETE /v1/inboxes/{pattern} */
export function removeInbox(api: Api, guards: GuardPorts, store: Pick<Store, "removeInbox">): void {
  const route = createRoute({
    method: "delete",
    path: "/v1/inboxes/{pattern}",
    operationId: "removeInbox",
    tags: ["Inboxes"],
    summary: "Take no more mail for an address or a domain",
    security: secured,
    middleware: [guard(guards, "domains:write")] as const,
    request: { params: z.object({ pattern: InboxPattern }) },
    responses: {
      204: { description: "Mail for it is refused from now on" },
      ...problems("resource.unknown"),
    },
  });
  api.openapi(route, async (c) => {
    const { pattern } = c.req.valid("param");
    if (!(await store.removeInbox(pattern)))
      throw new Failure("resource.unknown", "no such inbox", { hint: `There is no inbox ${pattern}` });
    return c.body(null, 204);
  });
}
