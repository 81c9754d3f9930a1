import { RuleTrialRequest } from "@tyto/contracts";
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
import type { Operation } from "../operation/operation.ts";
import { RulesShown, RuleTrialShown } from "../schemas.ts";

/** GET /v1/rules and POST /v1/rules/dry-run */
export function rules(api: Api, guards: GuardPorts, operation: Pick<Operation, "rules" | "tryRules">): void {
  const list = createRoute({
    method: "get",
    path: "/v1/rules",
    operationId: "listRules",
    tags: ["Rules"],
    summary: "What is done by itself when receivers answer in a certain way",
    description:
      "`breakers` are the organisations and campaigns whose bounces or complaints are watched closely.",
    security: secured,
    middleware: [guard(guards, "emails:read")] as const,
    responses: {
      200: { description: "Rules", content: { "application/json": { schema: RulesShown } } },
      ...problems(),
    },
  });
  api.openapi(list, async (c) => c.json(await operation.rules(), 200));

  const trial = createRoute({
    method: "post",
    path: "/v1/rules/dry-run",
    operationId: "tryRules",
    tags: ["Rules"],
    summary: "What rules would have done to past events",
    description: "Changes nothing.",
    security: secured,
    middleware: [guard(guards, "admin"), bounded(smallBodyBytesMax)] as const,
    request: { body: { required: true, content: { "application/json": { schema: RuleTrialRequest } } } },
    responses: {
      200: {
        description: "What would have happened",
        content: { "application/json": { schema: RuleTrialShown } },
      },
      ...problems("request.too-large", "request.unsupported-type"),
    },
  });
  api.openapi(trial, async (c) => c.json(await operation.tryRules(c.req.valid("json")), 200));
}
