import type { ShapingPorts, SiteKey } from "../shaping/shaping.ts";
import { createElapsed } from "../shares/elapsed.ts";
import { createShares } from "../shares/shares.ts";
import { createShareKeys } from "../shares/site-keys.ts";
import type { Surroundings } from "./surroundings.ts";

export type Sharing = Awaited<ReturnType<typeof startSharing>>;

/** This process's part of the limits that all share, by the sites' keys. Throws Failure `upstream.down`. */
export async function startSharing(
  { config, bus, now, log }: Surroundings,
  connectionsTo: (key: SiteKey) => number,
) {
  const { keyOf, siteOf, inUse } = createShareKeys(connectionsTo);
  const shares = await createShares({
    bucket: bus.bucket,
    name: config.name,
    inUse,
    elapsedMs: createElapsed(() => performance.now(), now),
    now,
    log,
  });
  return {
    shareOf: ((site, limit) => shares.shareOf(keyOf(site), limit)) satisfies ShapingPorts["shareOf"],
    demand: (site: SiteKey, wanted: number) => shares.demand(keyOf(site), wanted),
    /** Calls back when the part of a site, or of all of them, has changed. */
    onChange: (heard: (site: SiteKey | undefined) => void) =>
      shares.onChange((key) => heard(key === undefined ? undefined : siteOf(key))),
    stop: shares.stop,
  };
}
