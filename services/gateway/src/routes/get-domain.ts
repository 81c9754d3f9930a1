import { z } from "@hono/zod-openapi";
import { Domain } from "@tyto/contracts";
import { asciiDomain } from "../accept.ts";
import { type Api, createRoute, type GuardPorts, guard, problems, secured } from "../api.ts";
import type { Domains } from "../domains.ts";
import { DomainShown } from "../schemas.ts";
import { domainView } from "../store.ts";

export const DomainParams = z.object({ domain: Domain });

/** GET /v1/domains/{domain} */
export function getDomain(api: Api, guards: GuardPorts, domains: Pick<Domains, "get">): void {
  const route = createRoute({
    method: "get",
    path: "/v1/domains/{domain}",
    operationId: "getDomain",
    tags: ["Domains"],
    summary: "One sending domain with its DNS records",
    description: "Records that were not looked up within the last minute are looked up now.",
    security: secured,
    middleware: [guard(guards, "domains:write")] as const,
    request: { params: DomainParams },
    responses: {
      200: { description: "The domain", content: { "application/json": { schema: DomainShown } } },
      ...problems("resource.unknown"),
    },
  });
  api.openapi(route, async (c) =>
    c.json(domainView(await domains.get(asciiDomain(c.req.valid("param").domain))), 200),
  );
}
