import { asciiDomain } from "../accept.ts";
import { type Api, createRoute, type GuardPorts, guard, problems, secured } from "../api.ts";
import type { Domains } from "../domains.ts";
import { DomainShown } from "../schemas.ts";
import { domainView } from "../store.ts";
import { DomainParams } from "./get-domain.ts";

/** POST /v1/domains/{domain}/rotate-keys */
export function rotateKeys(api: Api, guards: GuardPorts, domains: Pick<Domains, "rotate">): void {
  const route = createRoute({
    method: "post",
    path: "/v1/domains/{domain}/rotate-keys",
    operationId: "rotateDomainKeys",
    tags: ["Domains"],
    summary: "Make the next signing keys of a domain",
    description:
      "Answers with the records of the next keys (`stage: next`) beside those that sign. Publish them; once all of them are seen in DNS they sign, and the old ones (`stage: old`) stay published for 7 days more. Asking again while next keys wait changes nothing.",
    security: secured,
    middleware: [guard(guards, "domains:write")] as const,
    request: { params: DomainParams },
    responses: {
      200: {
        description: "The domain with what to publish",
        content: { "application/json": { schema: DomainShown } },
      },
      ...problems("resource.unknown"),
    },
  });
  api.openapi(route, async (c) =>
    c.json(domainView(await domains.rotate(asciiDomain(c.req.valid("param").domain))), 200),
  );
}
