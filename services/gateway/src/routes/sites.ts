import { z } from "@hono/zod-openapi";
import { isDomain } from "@tyto/contracts";
import { asciiDomain } from "../accept.ts";
import { type Api, createRoute, type GuardPorts, guard, problems, secured } from "../api.ts";
import type { Operation } from "../operation/operation.ts";
import { SiteShown, SitesShown } from "../schemas.ts";

/** A site's id is a provider (`google`), a mail server, or either with what tells it apart behind a `=`. */
const siteId = /^[a-z0-9._:-]{1,230}(?:=[a-z0-9]{1,20})?$/i;
export const SiteParams = z.object({
  domain: z
    .string()
    .max(253)
    .transform((name) => name.trim().toLowerCase().replace(/\.$/, ""))
    .refine((name) => isDomain(name) || siteId.test(name), "must be a domain or a site's id")
    .describe("A domain, or a site as GET /v1/sites names it"),
});
/** With labels of other scripts as A-labels; a site's id stays as it is. */
export const siteName = (name: string): string => (isDomain(name) ? asciiDomain(name) : name);

/** GET /v1/sites and /v1/sites/{domain} */
export function sites(api: Api, guards: GuardPorts, operation: Pick<Operation, "sites" | "site">): void {
  const common = {
    method: "get" as const,
    tags: ["Sites"],
    security: secured,
    middleware: [guard(guards, "emails:read")],
  };

  const list = createRoute({
    ...common,
    path: "/v1/sites",
    operationId: "listSites",
    summary: "Sites that mail was sent to, the sick ones first",
    description: "As the running mta processes know them; nothing is remembered from before their start.",
    responses: {
      200: { description: "Sites", content: { "application/json": { schema: SitesShown } } },
      ...problems(),
    },
  });
  api.openapi(list, async (c) => c.json(await operation.sites(), 200));

  const one = createRoute({
    ...common,
    path: "/v1/sites/{domain}",
    operationId: "getSite",
    summary: "Where a domain's mail goes, and how that is going",
    description: "Mail servers are looked up at this moment, as a delivery does it.",
    request: { params: SiteParams },
    responses: {
      200: { description: "The site", content: { "application/json": { schema: SiteShown } } },
      ...problems(),
    },
  });
  api.openapi(one, async (c) => c.json(await operation.site(siteName(c.req.valid("param").domain)), 200));
}
