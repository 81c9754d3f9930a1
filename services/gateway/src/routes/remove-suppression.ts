import { z } from "@hono/zod-openapi";
import { Address, Failure } from "@tyto/contracts";
import { type Api, createRoute, type GuardPorts, guard, problems, secured } from "../api.ts";
import type { Suppressions } from "../suppressions.ts";

/** DELETE /v1/suppressions/{address} */
export function removeSuppression(
  api: Api,
  guards: GuardPorts,
  suppressions: Pick<Suppressions, "remove">,
): void {
  const route = createRoute({
    method: "delete",
    path: "/v1/suppressions/{address}",
    operationId: "removeSuppression",
    tags: ["Suppressions"],
    summary: "Allow mail to an address again",
    security: secured,
    middleware: [guard(guards, "suppressions:write")] as const,
    request: { params: z.object({ address: Address }) },
    responses: { 204: { description: "It is not on the list any more" }, ...problems("resource.unknown") },
  });
  api.openapi(route, async (c) => {
    const { address } = c.req.valid("param");
    if (!(await suppressions.remove(address)))
      throw new Failure("resource.unknown", "not suppressed", { hint: `${address} is not on the list` });
    return c.body(null, 204);
  });
}
