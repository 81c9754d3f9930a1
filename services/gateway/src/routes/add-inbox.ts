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
import { Inbox, InboxAdd } from "../schemas.ts";
import type { Store } from "../store.ts";

/** POST /v1/inboxes */
export function addInbox(api: Api, guards: GuardPorts, store: Pick<Store, "addInbox">): void {
  const route = createRoute({
    method: "post",
    path: "/v1/inboxes",
    operationId: "addInbox",
    tags: ["Inboxes"],
    summary: "Take mail for an address, or for a whole domain",
    description:
      "Mail for it is taken at port 25, kept, and told as `mail.received` and, when it answers a message, `mail.replied`. The domain must be one of yours, and its MX must point here. Harmless if the inbox is there already.",
    security: secured,
    middleware: [guard(guards, "domains:write"), bounded(smallBodyBytesMax)] as const,
    request: { body: { required: true, content: { "application/json": { schema: InboxAdd } } } },
    responses: {
      201: { description: "Mail is taken", content: { "application/json": { schema: Inbox } } },
      ...problems("domain.unknown", "request.too-large", "request.unsupported-type"),
    },
  });
  api.openapi(route, async (c) => c.json(await store.addInbox(c.req.valid("json").pattern), 201));
}
