import { asciiDomain } from "../accept.ts";
import { type Api, createRoute, type GuardPorts, guard, problems, secured } from "../api.ts";
import type { Domains } from "../domains.ts";
import { DomainShown } from "../schemas.ts";
import { domainView } from "../store.ts";
import { DomainParams } from "./get-domain.ts";

/** POST /v1/domains/{domain}/check */
export function checkDomain(api: Api, guards: GuardPorts, domains: Pick<Domains, "check">): void {
  const route = createRoute({
    method: "post",
    path: "/v1/domains/{domain}/check",
    operationId: "checkDomain",
    tags: ["Domains"],
    summary: "Look a domain's DNS records up now",
    security: secured,
    middleware: [guard(guards, "domains:write")] as const,
    request: { params: DomainParams },
    responses: {
      200: { description: "What was found", content: { "application/json": { schema: DomainShown } } },
      ...problems("resource.unknown"),
    },
  });
  api.openapi(route, async (c) =>
    c.json(domainView(await domains.check(asciiDomain(c.req.valid("param").domain))), 200),
  );
}
