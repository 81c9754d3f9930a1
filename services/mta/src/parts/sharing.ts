import { BoundedMap } from "@tyto/service";
import type { ShapingPorts, SiteKey } from "../shaping/shaping.ts";
import { createElapsed } from "../shares/elapsed.ts";
import { createShares, shareKey } from "../shares/shares.ts";
import type { Surroundings } from "./surroundings.ts";

/** Sites whose limits are shared with other processes, by name; as many as there are limits for. */
const sharedSitesMax = 10_000;

export type Sharing = Awaited<ReturnType<typeof startSharing>>;

/** This process's part of the limits that all share, by the sites' keys. Throws Failure `upstream.down`. */
export async function startSharing(
  { config, bus, now, log }: Surroundings,
  connectionsTo: (key: SiteKey) => number,
) {
  const sites = new BoundedMap<string, SiteKey>(sharedSitesMax);
  const shares = await createShares({
    bucket: bus.bucket,
    name: config.name,
    inUse(name) {
      const key = sites.get(name);
      return key === undefined ? 0 : connectionsTo(key);
    },
    elapsedMs: createElapsed(() => performance.now(), now),
    now,
    log,
  });
  const nameOf = (key: SiteKey) => {
    const name = shareKey(key.egress, key.site);
    sites.set(name, key);
    return name;
  };
  return {
    shareOf: ((key, limit) => shares.shareOf(nameOf(key), limit)) satisfies ShapingPorts["shareOf"],
    demand: (key: SiteKey, wanted: number) => shares.demand(nameOf(key), wanted),
    /** Calls back when the part of a site, or of all of them, has changed. */
    onChange: (heard: (key: SiteKey | undefined) => void) =>
      shares.onChange((name) => heard(name === undefined ? undefined : sites.get(name))),
    stop: shares.stop,
  };
}
