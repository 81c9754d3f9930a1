import { z } from "@hono/zod-openapi";
import { HoldAdd } from "@tyto/contracts";
import {
  type Api,
  bounded,
  callerOf,
  createRoute,
  type GuardPorts,
  guard,
  problems,
  secured,
  smallBodyBytesMax,
} from "../api.ts";
import type { Operation } from "../operation/operation.ts";
import { HoldReleasedShown, HoldShown, HoldsShown } from "../schemas.ts";

const HoldParams = z.object({
  key: z
    .string()
    .min(1)
    .max(600)
    .describe("The `key` of a hold or of a rule's measure, such as `site:google`, with URL encoding"),
});

/** GET and POST /v1/holds, DELETE /v1/holds/{key} */
export function holds(
  api: Api,
  guards: GuardPorts,
  operation: Pick<Operation, "holds" | "addHold" | "releaseHold">,
): void {
  const list = createRoute({
    method: "get",
    path: "/v1/holds",
    operationId: "listHolds",
    tags: ["Queue"],
    summary: "What is held, and what rules do with the mail of sites: by whom, why and until when",
    security: secured,
    middleware: [guard(guards, "emails:read")] as const,
    responses: {
      200: { description: "Holds", content: { "application/json": { schema: HoldsShown } } },
      ...problems(),
    },
  });
  api.openapi(list, async (c) => c.json(await operation.holds(), 200));

  const add = createRoute({
    method: "post",
    path: "/v1/holds",
    operationId: "addHold",
    tags: ["Queue"],
    summary: "Hold a site, domain, organisation, campaign or everything",
    description:
      "With `site`, an organisation or campaign is held there alone. Holding again changes the reason and the end.",
    security: secured,
    middleware: [guard(guards, "admin"), bounded(smallBodyBytesMax)] as const,
    request: { body: { required: true, content: { "application/json": { schema: HoldAdd } } } },
    responses: {
      201: { description: "It is held", content: { "application/json": { schema: HoldShown } } },
      ...problems("request.too-large", "request.unsupported-type"),
    },
  });
  api.openapi(add, async (c) => c.json(await operation.addHold(c.req.valid("json"), callerOf(c).name), 201));

  const release = createRoute({
    method: "delete",
    path: "/v1/holds/{key}",
    operationId: "releaseHold",
    tags: ["Queue"],
    summary: "Release a hold, whoever made it, or end what a rule does with the mail of a site",
    security: secured,
    middleware: [guard(guards, "admin")] as const,
    request: { params: HoldParams },
    responses: {
      200: { description: "It is not held", content: { "application/json": { schema: HoldReleasedShown } } },
      ...problems(),
    },
  });
  api.openapi(release, async (c) =>
    c.json(await operation.releaseHold(c.req.valid("param").key, callerOf(c).name), 200),
  );
}
