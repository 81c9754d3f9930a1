import { BoundedMap } from "@tyto/service";
import type { Egress } from "./egress.ts";
import { createLine, type Place } from "./line.ts";
import type { Host } from "./mx.ts";
import type { Leave } from "./observation.ts";
import type { SiteKey } from "./shaping/shaping.ts";
import type { Session } from "./smtp.ts";

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

/** What a site may be given, per (egress, site). */
export type Limits = {
  /** Takes leave for one message. */
  leave(key: SiteKey, provider: string | undefined): Leave;
  /** The leave was not used. */
  giveBack(key: SiteKey): void;
  connectionsMax(key: SiteKey, provider: string | undefined): number;
  messagesMax(key: SiteKey, provider: string | undefined): number;
};

/** For a server of one's own: nobody waits but for a connection. */
export const fixedLimits = (connectionsMax: number, messagesMax: number): Limits => ({
  leave: () => ({ kind: "go" }),
  giveBack() {},
  connectionsMax: () => connectionsMax,
  messagesMax: () => messagesMax,
});

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

type Idle = { session: Session; use: string; messages: number; timer: Timer };
type Turn =
  | { kind: "idle"; idle: Idle }
  | { kind: "free" }
  | { kind: "interrupted" }
  | Extract<Leave, { kind: "wait" }>;
type Waiting = Place & { use: string; hasLeave: boolean; deadlineMs: number; end(turn: Turn): void };
type Site = {
  key: SiteKey;
  provider: string | undefined;
  /** Open, being opened, or leased. */
  taken: number;
  /** Said QUIT, and not closed yet: the remote server still counts them. */
  closing: number;
  idle: Idle[];
  line: ReturnType<typeof createLine<Waiting>>;
  /** Since when somebody is in line. */
  lineSinceMs: number;
  /** How long a session is leased, on average of the last ones. */
  leaseMs: number;
  leasedAtMs: number;
  /** How far apart the limits keep messages; 0 while they do not. */
  gapMs: number;
  /** Looks again when there is leave for the next. */
  timer: Timer | undefined;
  /** Up to when those of each owner that were sent away have their turns. */
  booked: Map<string, number>;
};

/** Before a site has shown how fast it is. */
const leaseMsFirst = 100;
/** The weight of the latest lease in the average. */
const leaseShare = 0.2;
/** Hosts that cannot be reached are remembered up to this number; the oldest is forgotten first. */
const restingMax = 10_000;
/** Sites that are remembered though nothing is open or waits. */
const quietSitesMax = 10_000;
/** Nobody is sent away for longer: a site may become faster, and a turn that passes unused is lost. */
const bookedMsMax = 900_000;
const bookedOwnersMax = 200;
/** A line has to stand this long before anybody is sent away because of it. */
const judgedMs = 5_000;
/** Up to this, everybody waits in line. */
const shortMsMax = 1_000;
/** Those that a suspended site sends away come back over at least this time. */
const spreadMsMin = 10_000;

const nameOf = ({ egress, site }: SiteKey) => `${egress} ${site}`;

/**
 * Keeps sessions per site and address of ours for the next message and hands them out: never more connections than
 * allowed, never faster than the site's limits, owners in turn. Who would wait too long is told when its turn may come,
 * so that it need not wait in memory. A host that could not be reached rests, so that others behind it are tried at once.
 */
export function createPool<F>(options: PoolOptions<F>): Pool<F> {
  const { limits, now } = options;
  const sites = new Map<string, Site>();
  const resting = new BoundedMap<string, { untilMs: number; failure: F }>(restingMax);
  /** Sites that somebody waits for, in the order of their turns when all connections are in use. */
  const awaited = new Set<Site>();
  let idleCount = 0;
  let taken = 0;
  let isClosed = false;

  const siteOf = ({ egress, site: id, provider }: Want): Site => {
    const name = nameOf({ egress: egress.id, site: id });
    let site = sites.get(name);
    if (site === undefined) {
      site = {
        key: { egress: egress.id, site: id },
        provider,
        taken: 0,
        closing: 0,
        idle: [],
        line: createLine(),
        lineSinceMs: now(),
        leaseMs: leaseMsFirst,
        leasedAtMs: now(),
        gapMs: 0,
        timer: undefined,
        booked: new Map(),
      };
      sites.set(name, site);
      if (sites.size > quietSitesMax) forgetQuiet();
    }
    return site;
  };
  const forgetQuiet = () => {
    for (const [name, { taken, closing, line }] of sites) {
      if (taken > 0 || closing > 0 || line.size() > 0) continue;
      sites.delete(name);
      return;
    }
  };

  function take(site: Site) {
    site.taken++;
    taken++;
  }

  const demand = (site: Site) =>
    options.onDemand?.(site.key, site.line.size() + site.taken - site.idle.length);

  /** Ends a session. Its place at the site is free when it is closed; other sites need not wait for that. */
  function retire(site: Site, session: Session) {
    site.taken--;
    taken--;
    site.closing++;
    session.quit();
    session.onEnd(() => {
      site.closing--;
      handOn(site);
    });
    serveNext();
  }

  /** A connection is gone: its place goes to whoever waits. */
  function giveBack(site: Site) {
    site.taken--;
    taken--;
    handOn(site);
  }

  function handOn(site: Site) {
    demand(site);
    if (awaited.size === 0) return serve(site);
    if (site.line.size() > 0) {
      awaited.delete(site);
      awaited.add(site);
    }
    serveNext();
  }

  /** The next site whose messages wait for one of all connections; its turn is over then. */
  function serveNext() {
    for (let left = awaited.size; left > 0 && taken < options.connectionsMax; left--) {
      const [site] = awaited;
      if (site === undefined) return;
      awaited.delete(site);
      serve(site);
    }
  }

  const mayOpen = (site: Site) => site.taken + site.closing < limits.connectionsMax(site.key, site.provider);

  /** True when there is room for one more; a session that waits at another site makes room. */
  function hasRoom(): boolean {
    if (taken >= options.connectionsMax && idleCount > 0) quitOldest();
    return taken < options.connectionsMax;
  }

  /** Hands out what the site may be given, to those whose turn it is. */
  function serve(site: Site) {
    while (site.line.size() > 0) {
      const canOpen = mayOpen(site);
      if (site.idle.length === 0 && !canOpen) return;
      if (site.idle.length === 0 && !hasRoom()) return void awaited.add(site);
      const next = site.line.shift();
      if (next === undefined) return;
      const leave = next.hasLeave ? ({ kind: "go" } as const) : limits.leave(site.key, site.provider);
      if (leave.kind === "wait") return postpone(site, next, leave);
      site.gapMs *= 0.8;
      const idle = takeIdle(site, next.use);
      if (idle !== undefined) next.end({ kind: "idle", idle });
      else if (canOpen && hasRoom()) {
        take(site);
        next.end({ kind: "free" });
      } else replaceFirst(site, next);
    }
  }

  /** No leave now: who can wait for it does, the others are told when to come again. */
  function postpone(site: Site, next: Waiting, leave: Extract<Leave, { kind: "wait" }>) {
    const waitMs = leave.untilMs - now();
    site.line.push(next);
    if (waitMs > shortMsMax)
      for (const waiting of site.line.all())
        if (waiting.deadlineMs < leave.untilMs && site.line.remove(waiting))
          // Not all at once: the first of them finds out whether the site is well again.
          waiting.end({
            ...leave,
            untilMs: leave.untilMs + Math.max(spreadMsMin, waitMs / 2) * options.random(),
          });
    if (site.line.size() === 0) return;
    site.gapMs = Math.max(site.gapMs, waitMs);
    clearTimeout(site.timer);
    site.timer = setTimeout(() => serve(site), Math.max(1, waitMs));
  }

  function takeIdle(site: Site, use: string): Idle | undefined {
    // The session used last is the least likely to have been closed by the server.
    const idle = site.idle.findLast((one) => one.use === use);
    return idle !== undefined && remove(site, idle) ? idle : undefined;
  }

  /** A session for another use of the site makes room: its place is the next one's when it is closed. */
  function replaceFirst(site: Site, next: Waiting) {
    const [idle] = site.idle;
    if (idle === undefined) {
      // Nothing waits that could make room after all: its turn comes again, with the leave it has.
      next.hasLeave = true;
      return void site.line.push(next);
    }
    remove(site, idle);
    idle.session.quit();
    idle.session.onEnd(() => next.end({ kind: "free" }));
  }

  function remove(site: Site, idle: Idle): boolean {
    const at = site.idle.indexOf(idle);
    if (at === -1) return false;
    site.idle.splice(at, 1);
    clearTimeout(idle.timer);
    idleCount--;
    return true;
  }

  function keep(site: Site, session: Session, use: string, messages: number) {
    const expire = () => {
      if (remove(site, idle)) retire(site, session);
    };
    const idle: Idle = { session, use, messages, timer: setTimeout(expire, options.idleMsMax) };
    site.idle.push(idle);
    idleCount++;
    demand(site);
    serve(site);
    if (!site.idle.includes(idle)) return;
    session.onEnd(() => {
      if (remove(site, idle)) giveBack(site);
    });
    if (taken >= options.connectionsMax && awaited.size > 0) expire();
    else if (idleCount > options.idleMax) quitOldest();
  }

  function quitOldest() {
    for (const site of sites.values()) {
      const [oldest] = site.idle;
      if (oldest === undefined) continue;
      remove(site, oldest);
      retire(site, oldest.session);
      return;
    }
  }

  function quitIdle(site: Site, use: string | undefined) {
    for (const idle of [...site.idle])
      if ((use === undefined || idle.use === use) && remove(site, idle)) retire(site, idle.session);
  }

  /** How long one turn takes for want of connections; a site that has handed out nothing for long is as slow. */
  function leaseTurnMs(site: Site): number {
    const isBusy = site.taken > 0 && site.idle.length === 0;
    const leaseMs = isBusy ? Math.max(site.leaseMs, now() - site.leasedAtMs) : site.leaseMs;
    return leaseMs / Math.max(1, site.taken);
  }
  const turnMs = (site: Site) => Math.max(leaseTurnMs(site), site.gapMs);

  /**
   * When one that a rate keeps back shall come again: behind those of its owner that were sent away before. Each owner gets
   * its share of the turns.
   */
  function book(site: Site, { owner }: Place, earliestMs: number): number {
    const nowMs = now();
    for (const [other, untilMs] of site.booked) if (untilMs <= nowMs) site.booked.delete(other);
    const atMs = Math.max(earliestMs, site.booked.get(owner) ?? 0);
    if (site.booked.has(owner) || site.booked.size < bookedOwnersMax)
      site.booked.set(owner, atMs + turnMs(site) * Math.max(1, site.booked.size));
    // Those that are too many for the longest wait are spread, not to come back as one wave.
    const latestMs = Math.max(earliestMs, nowMs + bookedMsMax * (0.5 + options.random() / 2));
    return Math.min(atMs, latestMs);
  }

  function lease(site: Site, session: Session, use: string, messages: number): Lease {
    const startedMs = now();
    site.leasedAtMs = startedMs;
    let isReleased = false;
    return {
      kind: "lease",
      session,
      isReused: messages > 0,
      release(state) {
        if (isReleased) return;
        isReleased = true;
        site.leaseMs += (now() - startedMs - site.leaseMs) * leaseShare;
        void settle(state);
      },
    };
    async function settle(state: "ready" | "dirty" | "broken") {
      const isUsable =
        !isClosed &&
        session.isOpen &&
        site.taken + site.closing <= limits.connectionsMax(site.key, site.provider) &&
        messages + 1 < limits.messagesMax(site.key, site.provider) &&
        (state === "ready" || (state === "dirty" && (await session.reset())));
      if (isUsable && session.isOpen) return keep(site, session, use, messages + 1);
      retire(site, session);
    }
  }

  function place(
    site: Site,
    want: Want,
    use: string,
    how: { waitMs: number; hasLeave: boolean; signal: AbortSignal | undefined },
  ): Promise<Turn> {
    const { waitMs, hasLeave, signal } = how;
    return new Promise((resolve) => {
      let timer: Timer | undefined;
      let isOver = false;
      const waiting: Waiting = {
        traffic: want.traffic,
        owner: want.owner,
        use,
        hasLeave,
        deadlineMs: now() + waitMs,
        end(turn) {
          isOver = true;
          clearTimeout(timer);
          signal?.removeEventListener("abort", interrupt);
          resolve(turn);
        },
      };
      const interrupt = () => {
        if (site.line.remove(waiting)) waiting.end({ kind: "interrupted" });
      };
      if (site.line.size() === 0) site.lineSinceMs = now();
      site.line.push(waiting);
      demand(site);
      serve(site);
      if (isOver) return;
      timer = setTimeout(() => {
        if (site.line.remove(waiting)) waiting.end(tooLong(site, waiting));
      }, waitMs);
      signal?.addEventListener("abort", interrupt, { once: true });
    });
  }

  function tooLong(site: Site, waiting: Place): Extract<Leave, { kind: "wait" }> {
    const name = site.provider ?? site.key.site;
    const waitMs = turnMs(site) * (site.line.before(waiting) + 1);
    if (site.gapMs > leaseTurnMs(site))
      return {
        kind: "wait",
        untilMs: book(site, waiting, now() + waitMs),
        why: `${name}: as many as its rate allows are before it`,
      };
    // Connections may become faster or more at any time: it comes again well before its turn is expected.
    const soonMs = Math.min(Math.max(waitMs / 2, shortMsMax), bookedMsMax);
    return {
      kind: "wait",
      untilMs: now() + soonMs * (0.75 + options.random() / 2),
      why: `all connections that ${name} may have are in use`,
    };
  }

  /** Somebody is in line, or there is no connection: then it is to be expected how long it takes. */
  const mustWait = (site: Site) =>
    site.line.size() > 0 ||
    (site.idle.length === 0 && !(mayOpen(site) && (taken < options.connectionsMax || idleCount > 0)));

  /** The first connections of a burst are slow and say little; a rate is known from its first message. */
  const isJudged = (site: Site) =>
    site.gapMs > 0 || site.line.size() === 0 || now() - site.lineSinceMs > judgedMs;

  function rest(key: string, failure: F) {
    resting.set(key, { untilMs: now() + options.restMs, failure });
  }

  return {
    async acquire(host, want, { waitMs, fresh = false, hasLeave = false, signal }) {
      const hostKey = `${want.egress.id} ${host.name}:${host.port}`;
      // One that nobody has looked at must not carry what may only go to a proven server.
      const use = `${hostKey} ${host.demand?.key ?? ""}`;
      if (signal?.aborted) return { kind: "interrupted" };
      const site = siteOf(want);
      if (fresh) quitIdle(site, use);

      if (mustWait(site) && isJudged(site) && turnMs(site) * (site.line.before(want) + 1) > waitMs)
        return tooLong(site, want);
      const turn = await place(site, want, use, { waitMs, hasLeave, signal });
      if (turn.kind === "idle") return lease(site, turn.idle.session, use, turn.idle.messages);
      if (turn.kind !== "free") return turn;

      const rested = resting.get(hostKey);
      if (rested !== undefined) {
        if (rested.untilMs > now()) {
          giveBack(site);
          return rested.failure;
        }
        // One asks again; until it knows, the others take the old answer.
        rested.untilMs = now() + options.restMs;
      }
      let opened: Awaited<ReturnType<PoolOptions<F>["open"]>>;
      try {
        opened = await options.open(host, want, signal);
      } catch (error) {
        limits.giveBack(site.key);
        giveBack(site);
        throw error;
      }
      if (!("failure" in opened)) {
        resting.delete(hostKey);
        return lease(site, opened, use, 0);
      }
      if (opened.isRestful && !signal?.aborted) rest(hostKey, opened.failure);
      giveBack(site);
      if (!signal?.aborted) return opened.failure;
      limits.giveBack(site.key);
      return { kind: "interrupted" };
    },
    count: () => ({ open: taken, idle: idleCount }),
    connectionsTo(key) {
      const site = sites.get(nameOf(key));
      return site === undefined ? 0 : site.taken + site.closing;
    },
    connectionsFrom(egress) {
      let connections = 0;
      for (const { key, taken, closing } of sites.values())
        if (key.egress === egress) connections += taken + closing;
      return connections;
    },
    wake(key) {
      const changed = key === undefined ? [...sites.values()] : [sites.get(nameOf(key))];
      for (const site of changed) {
        if (site === undefined) continue;
        const tooMany = site.taken + site.closing - limits.connectionsMax(site.key, site.provider);
        for (const idle of site.idle.slice(0, Math.max(0, tooMany)))
          if (remove(site, idle)) retire(site, idle.session);
        serve(site);
      }
    },
    close() {
      isClosed = true;
      for (const site of sites.values()) {
        clearTimeout(site.timer);
        quitIdle(site, undefined);
      }
    },
  };
}
