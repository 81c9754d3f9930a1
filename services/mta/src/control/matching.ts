import type { QueueEntry, QueueFilter } from "@tyto/contracts";
import { domainOf } from "./activity.ts";

export type SiteOfDomain = (domain: string) => { site: string; provider?: string } | undefined;

/** The site of an entry: the one that it waits for, or where its domain's mail went last, else the domain. */
export const siteOfEntry = (
  { site, recipient }: Pick<QueueEntry, "site" | "recipient">,
  siteOf: SiteOfDomain,
): string => site ?? siteOf(domainOf(recipient))?.site ?? domainOf(recipient);

/** Whether a site is the one that is meant; `*` at the end of the wanted one stands for anything. */
export const isSite = (wanted: string, site: string): boolean =>
  wanted.endsWith("*") ? site.startsWith(wanted.slice(0, -1)) : site === wanted;

/** Whether an entry is meant by a filter. */
export function matches(
  entry: QueueEntry,
  filter: QueueFilter,
  siteOf: SiteOfDomain,
  site?: string,
): boolean {
  const { domain, organizationId, campaign, traffic, recipient, messageId, acceptedBeforeMs, reason } =
    filter;
  return (
    (filter.site === undefined || isSite(filter.site, site ?? siteOfEntry(entry, siteOf))) &&
    (domain === undefined || domainOf(entry.recipient) === domain.toLowerCase()) &&
    (organizationId === undefined || entry.organizationId === organizationId) &&
    (campaign === undefined || entry.campaign === campaign) &&
    (traffic === undefined || (entry.traffic ?? "transactional") === traffic) &&
    (recipient === undefined || entry.recipient.toLowerCase() === recipient.toLowerCase()) &&
    (messageId === undefined || entry.messageId === messageId) &&
    (reason === undefined || entry.lastReason === reason) &&
    (acceptedBeforeMs === undefined || entry.acceptedAt < acceptedBeforeMs)
  );
}

/** True when headers alone tell whether, and how many, entries of a message are meant. */
export const isTold = (filter: QueueFilter): boolean =>
  Object.entries(filter).every(
    ([name, value]) =>
      value === undefined || name === "site" || name === "organizationId" || name === "campaign",
  );
