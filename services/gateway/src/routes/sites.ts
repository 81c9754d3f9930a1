import { z } from "@hono/zod-openapi";
import { isDomain, SiteLimitSet } from "@tyto/contracts";
import { asciiDomain } from "../accept.ts";
import {
  type Api,
  bounded,
  callerOf,
  createRoute,
  type GuardPorts,
  guard,
  problems,
  secured,
  smallBodyBytesMax,
} from "../api.ts";
import type { Operation } from "../operation/operation.ts";
import { HoldReleasedShown, MeasureShown, SiteShown, SitesShown } from "../schemas.ts";

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

/** GET /v1/sites and /v1/sites/{domain}, PUT and DELETE /v1/sites/{domain}/limits */
export function sites(
  api: Api,
  guards: GuardPorts,
  operation: Pick<Operation, "sites" | "site" | "limitSite" | "releaseSite">,
): void {
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

  const limit = createRoute({
    method: "put",
    path: "/v1/sites/{domain}/limits",
    operationId: "limitSite",
    tags: ["Sites"],
    summary: "Set a site's rate and connections for a time",
    description:
      "They are in force in all mta processes together, survive a restart, and end by themselves. They take the place of those that were set before, and of what was learned; trouble still lowers the rate. A domain stands for the whole site that its mail goes to. More than Tyto gives the site by itself is refused, unless `above_ceiling` asks for it.",
    security: secured,
    middleware: [guard(guards, "admin"), bounded(smallBodyBytesMax)] as const,
    request: {
      params: SiteParams,
      body: { required: true, content: { "application/json": { schema: SiteLimitSet } } },
    },
    responses: {
      200: {
        description: "The limits are in force",
        content: { "application/json": { schema: MeasureShown } },
      },
      ...problems("request.too-large", "request.unsupported-type"),
    },
  });
  api.openapi(limit, async (c) => {
    const name = siteName(c.req.valid("param").domain);
    return c.json(await operation.limitSite(name, c.req.valid("json"), callerOf(c).name), 200);
  });

  const release = createRoute({
    method: "delete",
    path: "/v1/sites/{domain}/limits",
    operationId: "releaseSiteLimits",
    tags: ["Sites"],
    summary: "End the limits that were set for a site, and its pause",
    description:
      "Without trouble in the last hour the site begins at its usual limits, else it grows to them. A suspended site is asked by the next message. What waited because of either comes at once, up to 5,000 recipients a second; what a server deferred comes at its time.",
    security: secured,
    middleware: [guard(guards, "admin")] as const,
    request: { params: SiteParams },
    responses: {
      200: {
        description: "No limits are set",
        content: { "application/json": { schema: HoldReleasedShown } },
      },
      ...problems(),
    },
  });
  api.openapi(release, async (c) => {
    const name = siteName(c.req.valid("param").domain);
    return c.json(await operation.releaseSite(name, callerOf(c).name), 200);
  });
}
