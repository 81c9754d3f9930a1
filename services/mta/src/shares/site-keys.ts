import type { SiteKey } from "../shaping/shaping.ts";
import { shareKey } from "./shares.ts";

/** As many as there are limits for. */
const sitesMaxUsual = 10_000;

/**
 * The keys of shares, and the sites behind them. Who asks for a site again with the same object gets its key without
 * work. Of more than `sitesMax` sites the oldest is forgotten that no connection is open to: others rely on what is told of those.
 */
export function createShareKeys(connectionsTo: (site: SiteKey) => number, sitesMax = sitesMaxUsual) {
  const keys = new WeakMap<SiteKey, string>();
  const sites = new Map<string, SiteKey>();

  function forgetOne() {
    for (const [key, site] of sites) {
      if (connectionsTo(site) > 0) continue;
      sites.delete(key);
      return;
    }
  }
  return {
    keyOf(site: SiteKey): string {
      let key = keys.get(site);
      if (key === undefined) {
        key = shareKey(site.egress, site.site);
        keys.set(site, key);
      }
      if (!sites.has(key)) {
        if (sites.size >= sitesMax) forgetOne();
        sites.set(key, site);
      }
      return key;
    },
    siteOf: (key: string): SiteKey | undefined => sites.get(key),
    /** Connections to the site of a share; each counts until it is closed. */
    inUse(key: string): number {
      const site = sites.get(key);
      return site === undefined ? 0 : connectionsTo(site);
    },
  };
}
