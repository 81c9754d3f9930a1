/** Conditions of the HTTP API in the words of the mta. */
import type { Hold, QueueFilter, QueueFilterView } from "@tyto/contracts";

export function toFilter(view: QueueFilterView, nowMs: number): QueueFilter {
  const { organization, message_id: messageId, older_than_s: olderThanS, ...same } = view;
  const present = Object.fromEntries(Object.entries(same).filter(([, value]) => value !== undefined));
  return {
    ...present,
    ...(organization === undefined ? {} : { organizationId: organization }),
    ...(messageId === undefined ? {} : { messageId }),
    ...(olderThanS === undefined ? {} : { acceptedBeforeMs: Math.max(0, nowMs - 1_000 * olderThanS) }),
  };
}

/** The one thing that a filter names, if that is something which can be held as a whole. */
export function scopeOf(filter: QueueFilterView): Pick<Hold, "scope" | "id"> | undefined {
  const given = Object.entries(filter).filter(([, value]) => value !== undefined);
  const { site, domain, organization, campaign } = filter;
  if (given.length === 2 && organization !== undefined && campaign !== undefined)
    return { scope: "campaign", id: `${organization}/${campaign}` };
  if (given.length !== 1) return undefined;
  if (site !== undefined && !site.endsWith("*")) return { scope: "site", id: site };
  if (domain !== undefined) return { scope: "domain", id: domain };
  if (organization !== undefined) return { scope: "organization", id: organization };
  return campaign === undefined ? undefined : { scope: "campaign", id: campaign };
}
