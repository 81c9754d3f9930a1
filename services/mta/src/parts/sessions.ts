import type { Control } from "../control/control.ts";
import type { Reach, Tried } from "../egress/reach.ts";
import { openHost } from "../opening.ts";
import type { Failed } from "../outcome.ts";
import { createPool, type Limits, type Pool } from "../pool/pool.ts";
import type { Shaping } from "../shaping/shaping.ts";
import type { TlsPolicies } from "../tls/policies.ts";
import type { Sharing } from "./sharing.ts";
import type { Surroundings } from "./surroundings.ts";

/** Postfix and the large receivers end idle connections after minutes; ours are of no use longer than a burst. */
const idleMsMax = 15_000;

export type Sessions = Pool<Failed>;

/** SMTP sessions to the sites, as many as limits and shares allow. */
export function createSessions(
  { config, resolver, restMs, now, random }: Surroundings,
  parts: {
    limits: Limits & Pick<Shaping, "onOpened">;
    sharing: Sharing;
    tls: TlsPolicies;
    transcript: Control["transcript"];
    /** Learns which servers answer at all. */
    tried: Reach["see"];
  },
): Sessions {
  const { limits, sharing, tls, transcript, tried } = parts;
  const { timeouts, allowPrivate, authorities, concurrency } = config;
  const pool = createPool<Failed>({
    open(host, { egress, site, provider }, signal) {
      const asked = { egress: egress.id, site, provider, port: host.port };
      const options = { resolver, egress, timeouts, allowPrivate, authorities, see: tls.see, transcript };
      // A server that the operator named may be next door, where nothing is blocked.
      const learn = (ip: string, came: Tried["came"]) => host.isTrusted || tried({ ...asked, ip, came });
      return openHost(host, { ...options, tried: learn }, signal);
    },
    connectionsMax: concurrency,
    limits,
    idleMax: concurrency,
    idleMsMax,
    restMs,
    onDemand: sharing.demand,
    now,
    random,
  });
  sharing.onChange((key) => pool.wake(key));
  limits.onOpened((key) => pool.reopen(key));
  return pool;
}
