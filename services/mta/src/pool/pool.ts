import type { Egress } from "../egress.ts";
import type { Host } from "../mx.ts";
import type { SiteKey } from "../shaping/shaping.ts";
import type { Session } from "../smtp.ts";
import { Connections } from "./connections.ts";
import { isTooLong } from "./expectation.ts";
import { type Lease, Leases } from "./lease.ts";
import type { Limits } from "./limits.ts";
import type { Place } from "./line.ts";
import { Opener } from "./opener.ts";
import { Rests } from "./rests.ts";
import { beginAnew, connectionsOf, Sites } from "./site.ts";

export type { Lease } from "./lease.ts";
export { fixedLimits, type Limits } from "./limits.ts";

/** What a delivery wants a session for. */
export type Want = Place & {
  egress: Egress;
  /** The id of the site. */
  site: string;
  provider?: string | undefined;
};

/** `wait`: its turn is far away; it may come again at `untilMs`. */
export type Refusal<F> =
  | { kind: "wait"; untilMs: number; why: string; isBooked?: true }
  | { kind: "interrupted" }
  | F;

export type PoolOptions<F> = {
  /** Opens a session to one of the host's addresses, or says why not. `isRestful`: the host shall not be tried again for a while. */
  open(
    host: Host,
    want: Want,
    signal: AbortSignal | undefined,
  ): Promise<Session | { failure: F; isRestful: boolean }>;
  limits: Limits;
  /** Connections over all sites. */
  connectionsMax: number;
  /** Sessions that wait for their next message, over all sites. */
  idleMax: number;
  idleMsMax: number;
  /** How long a host that cannot be reached is left alone. */
  restMs: number;
  /** Is told how many deliveries to a site wait or are on their way, when that changes. */
  onDemand?(key: SiteKey, wanted: number): void;
  now: () => number;
  random: () => number;
};

export type Pool<F> = {
  /**
   * A session to the host, when the site's limits allow it, or `wait` after `waitMs`, or at once when it would take
   * longer anyway. `fresh` opens a new connection, and gives up those to this host that wait; `hasLeave` is set by who
   * asks for the same message again. `followers` will come again with who is sent away at once; who is not, admits them.
   */
  acquire(
    host: Host,
    want: Want,
    options: {
      waitMs: number;
      fresh?: boolean;
      hasLeave?: boolean;
      signal?: AbortSignal | undefined;
      followers?: { readonly count: number; admit(): void } | undefined;
    },
  ): Promise<Lease | Refusal<F>>;
  count(): { open: number; idle: number };
  /** Connections to a site: open, being opened, or not closed yet. */
  connectionsTo(key: SiteKey): number;
  /** The same of an address of ours, over all sites. */
  connectionsFrom(egress: string): number;
  /** Limits of the site, or of all, have changed: whoever waits is looked at again. */
  wake(key?: SiteKey): void;
  /** A site that was left alone speaks again: its hosts are asked, though they rest, and whoever waits is looked at again. */
  reopen(key: SiteKey): void;
  /** Closes what waits. Leased sessions close when they are released. */
  close(): void;
};

/**
 * Keeps sessions per site and address of ours for the next message and hands them out: never more connections than
 * allowed, never faster than the site's limits, owners in turn. Who would wait too long is told when its turn may come,
 * so that it need not wait in memory. A host that could not be reached rests, so that others behind it are tried at once.
 */
export function createPool<F>(options: PoolOptions<F>): Pool<F> {
  const { now } = options;
  const sites = new Sites();
  const rests = new Rests<F>(options.restMs, now);
  const connections = new Connections({ ...options, onProbe: (site) => rests.endOf(site) }, sites);
  const opener = new Opener<F>(options, connections, rests);
  const leases = new Leases(connections, now);

  return {
    async acquire(host, want, { waitMs, fresh = false, hasLeave = false, signal, followers }) {
      if (signal?.aborted) return { kind: "interrupted" };
      const hostKey = `${want.egress.id} ${host.name}:${host.port}`;
      // One that nobody has looked at must not carry what may only go to a proven server.
      const use = `${hostKey} ${host.demand?.key ?? ""}`;
      const site = sites.of(want.egress.id, want.site, want.provider, now());
      if (fresh) connections.retireAllIdle(site, use);
      if (connections.mustWait(site) && isTooLong(site, want, waitMs, now()))
        return connections.comeAgain(site, want, 1 + (followers?.count ?? 0));
      followers?.admit();
      const turn = await connections.wait(site, want, use, { waitMs, hasLeave, signal });
      if (turn.kind === "idle") return leases.begin(turn.connection);
      if (turn.kind !== "free") return turn;
      const opened = await opener.open(site, { host, want, hostKey, use, signal });
      return "connection" in opened ? leases.begin(opened.connection) : opened.refusal;
    },
    count: connections.count,
    connectionsTo(key) {
      const site = sites.get(key);
      return site === undefined ? 0 : connectionsOf(site);
    },
    connectionsFrom(egress) {
      let sum = 0;
      for (const site of sites.all()) if (site.key.egress === egress) sum += connectionsOf(site);
      return sum;
    },
    wake(key) {
      const changed = key === undefined ? [...sites.all()] : [sites.get(key)];
      for (const site of changed) if (site !== undefined) connections.adapt(site);
    },
    reopen(key) {
      const site = sites.get(key);
      if (site === undefined) return;
      rests.endOf(site);
      beginAnew(site, now());
      connections.adapt(site);
    },
    close() {
      leases.close();
      connections.close();
    },
  };
}
