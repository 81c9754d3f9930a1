import { asciiDomain } from "../accept.ts";
import { type Api, createRoute, type GuardPorts, guard, problems, secured } from "../api.ts";
import type { Domains } from "../domains.ts";
import { DomainParams } from "./get-domain.ts";

/** DELETE /v1/domains/{domain} */
export function removeDomain(api: Api, guards: GuardPorts, domains: Pick<Domains, "remove">): void {
  const route = createRoute({
    method: "delete",
    path: "/v1/domains/{domain}",
    operationId: "removeDomain",
    tags: ["Domains"],
    summary: "Remove a sending domain and its keys",
    description: "Mail that was accepted before and still waits cannot be signed any more and bounces.",
    security: secured,
    middleware: [guard(guards, "domains:write")] as const,
    request: { params: DomainParams },
    responses: { 204: { description: "It is gone" }, ...problems("resource.unknown") },
  });
  api.openapi(route, async (c) => {
    await domains.remove(asciiDomain(c.req.valid("param").domain));
    return c.body(null, 204);
  });
}
