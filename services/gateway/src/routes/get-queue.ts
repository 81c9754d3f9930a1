import { QueueQuery } from "@tyto/contracts";
import { type Api, createRoute, type GuardPorts, guard, problems, secured } from "../api.ts";
import type { Operation } from "../operation/operation.ts";
import { Queue } from "../schemas.ts";

/** GET /v1/queue */
export function getQueue(api: Api, guards: GuardPorts, operation: Pick<Operation, "queue">): void {
  const route = createRoute({
    method: "get",
    path: "/v1/queue",
    operationId: "getQueue",
    tags: ["Queue"],
    summary: "What waits to be sent, by site, organisation or campaign",
    description:
      "Counted in the queue itself, the deepest rows first; an answer may be a few seconds old when the queue is long. What is sent straight away never waits here and is told by `in_hand` and `last_minute`.",
    security: secured,
    middleware: [guard(guards, "emails:read")] as const,
    request: { query: QueueQuery },
    responses: {
      200: { description: "What waits", content: { "application/json": { schema: Queue } } },
      ...problems(),
    },
  });
  api.openapi(route, async (c) => c.json(await operation.queue(c.req.valid("query")), 200));
}
