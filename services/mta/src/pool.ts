import type { Host } from "./mx.ts";
import type { Session } from "./smtp.ts";

/** A session that belongs to the caller until it is released. */
export type Lease = {
  kind: "lease";
  session: Session;
  /** It carried a message before; the server may have closed it meanwhile. */
  isReused: boolean;
  /** `ready` for the next message, `dirty` after a refusal (RSET first), `broken` not to be used again. */
  release(state: "ready" | "dirty" | "broken"): void;
};

/** `busy`: all connections that this site may have, or all that there are, stayed in use for the time of waiting. */
export type Refusal<F> = { kind: "busy" } | { kind: "interrupted" } | F;

export type PoolOptions<F> = {
  /** Opens a session to one of the host's addresses, or says why not. `isRestful`: the site shall not be tried again for a while. */
  open(host: Host, signal: AbortSignal | undefined): Promise<Session | { failure: F; isRestful: boolean }>;
  /** Connections over all sites. */
  connectionsMax: number;
  /** Connections to one host and port. */
  siteConnectionsMax: number;
  /** Sessions that wait for their next message, over all sites. */
  idleMax: number;
  idleMsMax: number;
  /** Large receivers close connections that carry more than about a hundred. */
  messagesMax: number;
  /** How long a site that cannot be reached is left alone. */
  restMs: number;
  now: () => number;
};

export type Pool<F> = {
  /**
   * A session, or `busy` after `waitMs`, or at once when it would take longer anyway. `fresh` opens a new connection, and gives up those to this site that wait.
   */
  acquire(
    host: Host,
    options: { waitMs: number; fresh?: boolean; signal?: AbortSignal | undefined },
  ): Promise<Lease | Refusal<F>>;
  count(): { open: number; idle: number };
  /** Closes what waits. Leased sessions close when they are released. */
  close(): void;
};

/** A host, what its sessions have to be, and where they come from: one that nobody has looked at must not carry what may only go to a proven server. */
const keyOf = ({ name, port, demand, egress }: Host): string =>
  [
    `${name}:${port}`,
    ...(demand === undefined || demand.key === "" ? [] : [demand.key]),
    ...(egress === undefined ? [] : [`from ${egress.id}`]),
  ].join(" ");

type Idle = { session: Session; messages: number; timer: Timer };
type Site = {
  /** Open, being opened, or leased. */
  taken: number;
  idle: Idle[];
  waiting: ((turn: Idle | "free") => void)[];
  /** How long a session is leased, on average of the last ones. */
  leaseMs: number;
  leasedAtMs: number;
};

/** Before a site has shown how fast it is. */
const leaseMsFirst = 100;
/** The weight of the latest lease in the average. */
const leaseShare = 0.2;

/** Sites that cannot be reached are remembered up to this number; the oldest is forgotten first. */
const restingMax = 10_000;

/**
 * Keeps sessions per site (host and port) for the next message, hands them to whoever waits longest, and never opens
 * more than allowed. A site that could not be reached rests, so that a long queue for it costs one connection attempt
 * per rest and not one per message.
 */
export function createPool<F>(options: PoolOptions<F>): Pool<F> {
  const sites = new Map<string, Site>();
  const resting = new Map<string, { untilMs: number; failure: F }>();
  /** Sites that somebody waits for, in the order of their turns when all connections are in use. */
  const awaited = new Set<string>();
  let idleCount = 0;
  let taken = 0;
  let isClosed = false;

  const siteOf = (key: string): Site => {
    let site = sites.get(key);
    if (site === undefined) {
      site = { taken: 0, idle: [], waiting: [], leaseMs: leaseMsFirst, leasedAtMs: options.now() };
      sites.set(key, site);
    }
    return site;
  };
  const forgetEmpty = (key: string, site: Site) => {
    if (site.taken === 0 && site.waiting.length === 0) sites.delete(key);
  };

  function dropIdle(key: string, site: Site, idle: Idle): boolean {
    const at = site.idle.indexOf(idle);
    if (at === -1) return false;
    site.idle.splice(at, 1);
    clearTimeout(idle.timer);
    idleCount--;
    giveBack(key, site);
    return true;
  }

  /** A connection is gone: its place goes to whoever waits. */
  function giveBack(key: string, site: Site) {
    site.taken--;
    taken--;
    const next = nextAwaited();
    if (next !== undefined) {
      // Its turn is over; it stands behind the others now.
      awaited.delete(next.key);
      awaited.add(next.key);
      take(next.site);
      next.site.waiting.shift()?.("free");
    }
    forgetEmpty(key, site);
  }

  function take(site: Site) {
    site.taken++;
    taken++;
  }

  /** The next site with somebody who waits and may have a connection. */
  function nextAwaited(): { key: string; site: Site } | undefined {
    for (const key of awaited) {
      const site = sites.get(key);
      if (site === undefined || site.waiting.length === 0) awaited.delete(key);
      else if (site.taken < options.siteConnectionsMax) return { key, site };
    }
    return undefined;
  }

  /** True when there is room for one more; a session that waits at another site makes room. */
  function hasRoom(): boolean {
    if (taken >= options.connectionsMax && idleCount > 0) quitOldest();
    return taken < options.connectionsMax;
  }

  function keep(key: string, site: Site, session: Session, messages: number) {
    const idle: Idle = { session, messages, timer: setTimeout(() => expire(), options.idleMsMax) };
    const expire = () => {
      if (dropIdle(key, site, idle)) session.quit();
    };
    const next = site.waiting.shift();
    if (next !== undefined) {
      clearTimeout(idle.timer);
      return next(idle);
    }
    if (taken >= options.connectionsMax && nextAwaited() !== undefined) {
      clearTimeout(idle.timer);
      session.quit();
      return giveBack(key, site);
    }
    site.idle.push(idle);
    idleCount++;
    session.onEnd(() => void dropIdle(key, site, idle));
    if (idleCount > options.idleMax) quitOldest();
  }

  function quitOldest() {
    for (const [key, site] of sites) {
      const [oldest] = site.idle;
      if (oldest === undefined) continue;
      if (dropIdle(key, site, oldest)) oldest.session.quit();
      return;
    }
  }

  function quitIdle(key: string, site: Site) {
    for (const idle of [...site.idle]) if (dropIdle(key, site, idle)) idle.session.quit();
  }

  /** What it takes until those who wait have had their turns; a site that has handed out nothing for long is as slow. */
  function expectedWaitMs(site: Site): number {
    const leaseMs = Math.max(site.leaseMs, options.now() - site.leasedAtMs);
    return ((site.waiting.length + 1) * leaseMs) / Math.max(1, site.taken);
  }

  function lease(key: string, site: Site, session: Session, messages: number): Lease {
    const startedMs = options.now();
    site.leasedAtMs = startedMs;
    let isReleased = false;
    return {
      kind: "lease",
      session,
      isReused: messages > 0,
      release(state) {
        if (isReleased) return;
        isReleased = true;
        site.leaseMs += (options.now() - startedMs - site.leaseMs) * leaseShare;
        void settle(state);
      },
    };
    async function settle(state: "ready" | "dirty" | "broken") {
      const isUsable =
        !isClosed &&
        session.isOpen &&
        messages + 1 < options.messagesMax &&
        (state === "ready" || (state === "dirty" && (await session.reset())));
      if (isUsable && session.isOpen) return keep(key, site, session, messages + 1);
      session.quit();
      giveBack(key, site);
    }
  }

  /** A place at the site: an idle session, permission to open one, or nothing within the time. */
  function place(
    site: Site,
    waitMs: number,
    signal: AbortSignal | undefined,
  ): Promise<Idle | "free" | "busy" | "interrupted"> {
    return new Promise((resolve) => {
      const end = (turn: Idle | "free" | "busy" | "interrupted") => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", interrupt);
        const at = site.waiting.indexOf(end);
        if (at !== -1) site.waiting.splice(at, 1);
        resolve(turn);
      };
      const interrupt = () => end("interrupted");
      const timer = setTimeout(() => end("busy"), waitMs);
      signal?.addEventListener("abort", interrupt, { once: true });
      site.waiting.push(end);
    });
  }

  function rest(key: string, failure: F) {
    resting.delete(key);
    resting.set(key, { untilMs: options.now() + options.restMs, failure });
    const oldest = resting.keys().next();
    if (resting.size > restingMax && !oldest.done) resting.delete(oldest.value);
  }

  return {
    async acquire(host, { waitMs, fresh = false, signal }) {
      const key = keyOf(host);
      if (signal?.aborted) return { kind: "interrupted" };
      if (fresh) quitIdle(key, siteOf(key));
      const site = siteOf(key);

      // The session used last is the least likely to have been closed by the server.
      const idle = site.idle.pop();
      if (idle !== undefined) {
        clearTimeout(idle.timer);
        idleCount--;
        return lease(key, site, idle.session, idle.messages);
      }
      if (site.taken < options.siteConnectionsMax && hasRoom()) take(site);
      else {
        if (expectedWaitMs(site) > waitMs) return { kind: "busy" };
        awaited.add(key);
        const turn = await place(site, waitMs, signal);
        if (turn === "busy" || turn === "interrupted") return { kind: turn };
        if (turn !== "free") return lease(key, site, turn.session, turn.messages);
      }

      const rested = resting.get(key);
      if (rested !== undefined) {
        if (rested.untilMs > options.now()) {
          giveBack(key, site);
          return rested.failure;
        }
        // One asks again; until it knows, the others take the old answer.
        rested.untilMs = options.now() + options.restMs;
      }
      let opened: Awaited<ReturnType<PoolOptions<F>["open"]>>;
      try {
        opened = await options.open(host, signal);
      } catch (error) {
        giveBack(key, site);
        throw error;
      }
      if (!("failure" in opened)) {
        resting.delete(key);
        return lease(key, site, opened, 0);
      }
      if (opened.isRestful && !signal?.aborted) rest(key, opened.failure);
      giveBack(key, site);
      return signal?.aborted ? { kind: "interrupted" } : opened.failure;
    },
    count() {
      let open = 0;
      for (const site of sites.values()) open += site.taken;
      return { open, idle: idleCount };
    },
    close() {
      isClosed = true;
      for (const [key, site] of sites) quitIdle(key, site);
    },
  };
}
