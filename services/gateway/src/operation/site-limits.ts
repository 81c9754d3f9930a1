/** Limits that an operator sets for a site, until a time. */
import { Failure, isDomain, isProvider, MeasureView, type SiteLimitSet } from "@tyto/contracts";
import type { z } from "zod";
import { releaseHold } from "./acting.ts";
import { endPause } from "./pause.ts";
import { holdsOf, type OperationPorts } from "./ports.ts";
import { shown } from "./view.ts";

export async function limitSite(
  ports: OperationPorts,
  name: string,
  { rate, connections, for_s: forS, why, above_ceiling: isAboveCeiling }: z.infer<typeof SiteLimitSet>,
  by: string,
): Promise<z.infer<typeof MeasureView>> {
  const measure = await ports.control.ask("mta.limit-site", {
    ...{ site: await siteNamed(ports, name), why, by, isAboveCeiling },
    untilMs: ports.now() + 1_000 * forS,
    ...(rate === undefined ? {} : { rate }),
    ...(connections === undefined ? {} : { connectionsMax: connections }),
  });
  return shown(MeasureView, measure);
}

export async function releaseSite(ports: OperationPorts, name: string, by: string) {
  const { measures = [] } = await holdsOf(ports);
  // A site's own name needs no DNS, which may be what is out of order.
  const isSet = measures.some(({ action, site }) => action === "limit" && site === name);
  const site = isSet ? name : await siteNamed(ports, name);
  const released = await releaseHold(ports, `limit:${site}`, by);
  return { ...released, ...(await endPause(ports, site, by)) };
}

/** The site of that id, or else the one that the domain's mail goes to. Throws Failure `request.invalid` where there is none. */
async function siteNamed({ control }: OperationPorts, name: string): Promise<string> {
  if (isProvider(name)) return name;
  const { answers } = await control.askAll("mta.replies", { site: name });
  if (answers.some(({ state }) => (state?.limits ?? []).length > 0)) return name;
  if (!isDomain(name))
    throw noSite(
      `nothing was sent to a site ${name} yet; GET /v1/sites and tyto queue name those that there are`,
    );
  const { site, trouble } = await control.ask("mta.site", { domain: name });
  if (site !== undefined) return site;
  throw noSite(`there is no way to ${name}${trouble === undefined ? "" : `: ${trouble}`}`);
}

const noSite = (problem: string) =>
  new Failure("request.invalid", problem, { hint: `${problem}. Nothing was changed` });
