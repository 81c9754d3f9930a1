import type { QueueEntry } from "@tyto/contracts";
import { domainOf } from "./activity.ts";

export type InHand = { total: number; bySite: ReadonlyMap<string, number> };

/** Deliveries that are being tried at this moment, by their domains. Bounded by what the mta takes into its hands. */
export function createInHand() {
  const domains = new Map<string, number>();
  let total = 0;
  return {
    /** Call what it gives when the attempt is over. */
    begin({ recipient }: Pick<QueueEntry, "recipient">): () => void {
      const domain = domainOf(recipient);
      domains.set(domain, (domains.get(domain) ?? 0) + 1);
      total++;
      let isOver = false;
      return () => {
        if (isOver) return;
        isOver = true;
        total--;
        const left = (domains.get(domain) ?? 1) - 1;
        if (left === 0) domains.delete(domain);
        else domains.set(domain, left);
      };
    },
    /** All of them, and by the sites of their domains. */
    countBy(siteOf: (domain: string) => string): InHand {
      const bySite = new Map<string, number>();
      for (const [domain, count] of domains) {
        const site = siteOf(domain);
        bySite.set(site, (bySite.get(site) ?? 0) + count);
      }
      return { total, bySite };
    },
  };
}
