import type { Egress } from "../egress.ts";
import type { Host } from "../mx.ts";
import type { SiteKey } from "../shaping/shaping.ts";
import type { Session } from "../smtp.ts";
import { Connections } from "./connections.ts";
import { comeAgain, isTooLong } from "./expectation.ts";
import type { Limits } from "./limits.ts";
import type { Place } from "./line.ts";
import { Rests } from "./rests.ts";
import { type Connection, connectionsOf, type Site, Sites, seeLease } from "./site.ts";

export { fixedLimits, type Limits } from "./limits.ts";

/** What a delivery wants a session for. */
export type Want = Place & {
  egress: Egress;
  /** The id of the site. */
  site: string;
  provider?: string | undefined;
};

/** A session that belongs to the caller until it is released. */
export type Lease = {
  kind: "lease";
  session: Session;
  /** It carried a message before; the server may have closed it meanwhile. */
  isReused: boolean;
  /** `ready` for the next message, `dirty` after a refusal (RSET first), `broken` not to be used again. */
  release(state: "ready" | "dirty" | "broken"): void;
};

/** `wait`: its turn is far away; it may come again at `untilMs`. */
export type Refusal<F> = { kind: "wait"; untilMs: number; why: string } | { kind: "interrupted" } | F;

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
   * asks for the same message again.
   */
  acquire(
    host: Host,
    want: Want,
    options: { waitMs: number; fresh?: boolean; hasLeave?: boolean; signal?: AbortSignal | undefined },
  ): Promise<Lease | Refusal<F>>;
  count(): { open: number; idle: number };
  /** Connections to a site: open, being opened, or not closed yet. */
  connectionsTo(key: SiteKey): number;
  /** The same of an address of ours, over all sites. */
  connectionsFrom(egress: string): number;
  /** Limits of the site, or of all, have changed: whoever waits is looked at again. */
  wake(key?: SiteKey): void;
  /** Closes what waits. Leased sessions close when they are released. */
  close(): void;
};

/**
 * Keeps sessions per site and address of ours for the next message and hands them out: never more connections than
 * allowed, never faster than the site's limits, owners in turn. Who would wait too long is told when its turn may come,
 * so that it need not wait in memory. A host that could not be reached rests, so that others behind it are tried at once.
 */
export function createPool<F>(options: PoolOptions<F>): Pool<F> {
  const { limits, now, random } = options;
  const sites = new Sites();
  const connections = new Connections(options, sites);
  const rests = new Rests<F>(options.restMs, now);
  let isClosed = false;

  /** In a place that is free, which is given back when nothing comes of it. */
  async function open(site: Site, host: Host, want: Want, { hostKey, use, signal }: Way) {
    if (signal?.aborted) return interrupted(site);
    const rested = rests.failureOf(hostKey);
    if (rested !== undefined) {
      connections.giveBack(site);
      return rested;
    }
    let opened: Awaited<ReturnType<PoolOptions<F>["open"]>>;
    try {
      opened = await options.open(host, want, signal);
    } catch (error) {
      interrupted(site);
      throw error;
    }
    if (!("failure" in opened)) {
      rests.end(hostKey);
      return lease(connections.add(site, opened, use));
    }
    if (signal?.aborted) return interrupted(site);
    if (opened.isRestful) rests.begin(hostKey, opened.failure);
    connections.giveBack(site);
    return opened.failure;
  }

  /** The site was not asked: the message has not used its leave. */
  function interrupted(site: Site) {
    limits.giveBack(site.key);
    connections.giveBack(site);
    return { kind: "interrupted" } as const;
  }

  function lease(connection: Connection): Lease {
    const { site, session } = connection;
    const startedMs = now();
    site.leasedAtMs = startedMs;
    let isReleased = false;
    return {
      kind: "lease",
      session,
      isReused: connection.messages++ > 0,
      release(state) {
        if (isReleased) return;
        isReleased = true;
        seeLease(site, now() - startedMs);
        void settle(connection, state);
      },
    };
  }

  async function settle(connection: Connection, state: "ready" | "dirty" | "broken"): Promise<void> {
    const { session } = connection;
    const isUsable =
      !isClosed &&
      connections.mayKeep(connection) &&
      (state === "ready" || (state === "dirty" && (await session.reset())));
    if (isUsable && session.isOpen) connections.keep(connection);
    else connections.retire(connection);
  }

  return {
    async acquire(host, want, { waitMs, fresh = false, hasLeave = false, signal }) {
      if (signal?.aborted) return { kind: "interrupted" };
      const hostKey = `${want.egress.id} ${host.name}:${host.port}`;
      // One that nobody has looked at must not carry what may only go to a proven server.
      const use = `${hostKey} ${host.demand?.key ?? ""}`;
      const site = sites.of(want.egress.id, want.site, want.provider, now());
      if (fresh) connections.retireAllIdle(site, use);
      if (connections.mustWait(site) && isTooLong(site, want, waitMs, now()))
        return comeAgain(site, want, now(), random);
      const turn = await connections.wait(site, want, use, { waitMs, hasLeave, signal });
      if (turn.kind === "idle") return lease(turn.connection);
      if (turn.kind === "free") return open(site, host, want, { hostKey, use, signal });
      return turn;
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
    close() {
      isClosed = true;
      connections.close();
    },
  };
}

type Way = { hostKey: string; use: string; signal: AbortSignal | undefined };
