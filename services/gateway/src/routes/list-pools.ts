import { type Api, createRoute, type GuardPorts, guard, problems, secured } from "../api.ts";
import type { Operation } from "../operation/operation.ts";
import { PoolsShown } from "../schemas.ts";

/** GET /v1/pools */
export function listPools(api: Api, guards: GuardPorts, operation: Pick<Operation, "pools">): void {
  const route = createRoute({
    method: "get",
    path: "/v1/pools",
    operationId: "listPools",
    tags: ["Pools"],
    summary: "The addresses that mail is sent from, and how warm they are",
    security: secured,
    middleware: [guard(guards, "emails:read")] as const,
    responses: {
      200: { description: "Pools", content: { "application/json": { schema: PoolsShown } } },
      ...problems(),
    },
  });
  api.openapi(route, async (c) => c.json(await operation.pools(), 200));
}
