import type { QueueEntry } from "@tyto/contracts";
import { domainOf } from "./activity.ts";

export type InHand = {
  total: number;
  bySite: ReadonlyMap<string, number>;
  /** Since when there has been something without a break, by site. */
  sinceMs: ReadonlyMap<string, number>;
};

/** Deliveries that are being tried at this moment, by their domains. Bounded by what the mta takes into its hands. */
export function createInHand(now: () => number) {
  const domains = new Map<string, { count: number; sinceMs: number }>();
  let total = 0;
  return {
    /** Call what it gives when the attempt is over. */
    begin({ recipient }: Pick<QueueEntry, "recipient">): () => void {
      const domain = domainOf(recipient);
      const known = domains.get(domain) ?? { count: 0, sinceMs: now() };
      known.count++;
      domains.set(domain, known);
      total++;
      let isOver = false;
      return () => {
        if (isOver) return;
        isOver = true;
        total--;
        known.count--;
        if (known.count === 0) domains.delete(domain);
      };
    },
    /** All of them, and by the sites of their domains. */
    countBy(siteOf: (domain: string) => string): InHand {
      const bySite = new Map<string, number>();
      const since = new Map<string, number>();
      for (const [domain, { count, sinceMs }] of domains) {
        const site = siteOf(domain);
        bySite.set(site, (bySite.get(site) ?? 0) + count);
        since.set(site, Math.min(since.get(site) ?? sinceMs, sinceMs));
      }
      return { total, bySite, sinceMs: since };
    },
  };
}
