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

/** What a filter names, if that is something which can be held as a whole: a site, a domain, or who sends, everywhere or at one site. */
export function scopeOf({
  site,
  domain,
  organization,
  campaign,
  ...others
}: QueueFilterView): Pick<Hold, "scope" | "id" | "site"> | undefined {
  if (Object.values(others).some((value) => value !== undefined) || site?.endsWith("*")) return undefined;
  const sender = senderOf(organization, campaign);
  if (domain !== undefined)
    return sender === undefined && site === undefined ? { scope: "domain", id: domain } : undefined;
  if (site === undefined) return sender;
  return sender === undefined ? { scope: "site", id: site } : { ...sender, site };
}

function senderOf(
  organization: string | undefined,
  campaign: string | undefined,
): Pick<Hold, "scope" | "id"> | undefined {
  if (campaign !== undefined)
    return { scope: "campaign", id: organization === undefined ? campaign : `${organization}/${campaign}` };
  return organization === undefined ? undefined : { scope: "organization", id: organization };
}
