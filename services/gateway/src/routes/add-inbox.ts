import { Failure } from "@tyto/contracts";
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
  api.openapi(route, async (c) => {
    const { pattern } = c.req.valid("json");
    try {
      return c.json(await store.addInbox(pattern), 201);
    } catch (error) {
      if (!(error instanceof Failure && error.code === "domain.unknown")) throw error;
      const domain = pattern.slice(pattern.lastIndexOf("@") + 1);
      throw new Failure("domain.unknown", error.message, {
        hint: `Mail is taken for domains of yours alone. Add ${domain} first: POST /v1/domains {"domain":"${domain}"}, or in the dashboard under Domains`,
      });
    }
  });
}
