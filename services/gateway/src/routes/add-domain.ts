import { asciiDomain } from "../accept.ts";
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
import type { Domains } from "../domains.ts";
import { DomainAdd, DomainShown } from "../schemas.ts";
import { domainView } from "../store.ts";

/** POST /v1/domains */
export function addDomain(api: Api, guards: GuardPorts, domains: Pick<Domains, "add">): void {
  const route = createRoute({
    method: "post",
    path: "/v1/domains",
    operationId: "addDomain",
    tags: ["Domains"],
    summary: "Set up a sending domain",
    description:
      "Makes its signing keys and answers with the DNS records to publish. The DKIM records come with the next look at the domain if the keys take longer than a few seconds.",
    security: secured,
    middleware: [guard(guards, "domains:write"), bounded(smallBodyBytesMax)] as const,
    request: { body: { required: true, content: { "application/json": { schema: DomainAdd } } } },
    responses: {
      201: { description: "It is set up", content: { "application/json": { schema: DomainShown } } },
      ...problems("domain.exists", "request.too-large", "request.unsupported-type"),
    },
  });
  api.openapi(route, async (c) =>
    c.json(domainView(await domains.add(asciiDomain(c.req.valid("json").domain))), 201),
  );
}
