import { type Gates, openGates } from "../gates.ts";
import { createProfiles } from "../shaping/profiles.ts";
import type { Sharing } from "./sharing.ts";
import type { Surroundings } from "./surroundings.ts";

/** Holds, breakers, rules and the limits of sites, as the settings want them. Throws Failure `upstream.down`. */
export const startGates = (
  { config, bus, restMs, now, random, log }: Surroundings,
  sharing: Sharing,
): Promise<Gates> =>
  openGates({
    ...{ bus, now, random, log },
    profiles: createProfiles({
      connectionsMax: config.siteConnectionsMax,
      limits: config.siteLimits,
      routes: config.routes,
    }),
    rules: config.rules,
    pauseFirstMs: restMs,
    shareOf: sharing.shareOf,
    trialsOf: (key, max) =>
      sharing.shareOf(key, { connectionsMax: max, perMinute: Number.POSITIVE_INFINITY }).connectionsMax,
    onTrialsWanted: sharing.demand,
  });
