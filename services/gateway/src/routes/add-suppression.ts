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
import { Suppression, SuppressionAdd } from "../schemas.ts";
import type { Suppressions } from "../suppressions.ts";

/** POST /v1/suppressions */
export function addSuppression(api: Api, guards: GuardPorts, suppressions: Pick<Suppressions, "add">): void {
  const route = createRoute({
    method: "post",
    path: "/v1/suppressions",
    operationId: "addSuppression",
    tags: ["Suppressions"],
    summary: "Send no more mail to an address",
    description: "Harmless if the address is on the list already.",
    security: secured,
    middleware: [guard(guards, "suppressions:write"), bounded(smallBodyBytesMax)] as const,
    request: { body: { required: true, content: { "application/json": { schema: SuppressionAdd } } } },
    responses: {
      201: { description: "It is on the list", content: { "application/json": { schema: Suppression } } },
      ...problems("request.too-large", "request.unsupported-type"),
    },
  });
  api.openapi(route, async (c) => c.json(await suppressions.add(c.req.valid("json").address), 201));
}
