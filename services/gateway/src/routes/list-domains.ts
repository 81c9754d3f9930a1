import { type Api, createRoute, type GuardPorts, guard, problems, secured } from "../api.ts";
import type { Domains } from "../domains.ts";
import { DomainList } from "../schemas.ts";
import { domainView } from "../store.ts";

/** GET /v1/domains */
export function listDomains(api: Api, guards: GuardPorts, domains: Pick<Domains, "list">): void {
  const route = createRoute({
    method: "get",
    path: "/v1/domains",
    operationId: "listDomains",
    tags: ["Domains"],
    summary: "List sending domains with their DNS records",
    description: "Records that were not looked up within the last minute are looked up now.",
    security: secured,
    middleware: [guard(guards, "domains:write")] as const,
    responses: {
      200: { description: "All domains", content: { "application/json": { schema: DomainList } } },
      ...problems(),
    },
  });
  api.openapi(route, async (c) => c.json({ data: (await domains.list()).map(domainView) }, 200));
}
