import type { Control } from "../control/control.ts";
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
  },
): Sessions {
  const { limits, sharing, tls, transcript } = parts;
  const { timeouts, allowPrivate, authorities, concurrency } = config;
  const pool = createPool<Failed>({
    open: (host, { egress }, signal) =>
      openHost(
        host,
        { resolver, egress, timeouts, allowPrivate, authorities, see: tls.see, transcript },
        signal,
      ),
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
