import type { Leave } from "../observation.ts";
import type { Session } from "../smtp.ts";
import { comeAgain, shortMsMax, spread } from "./expectation.ts";
import { IdleSessions } from "./idle.ts";
import type { Limits } from "./limits.ts";
import type { Place } from "./line.ts";
import type { PoolOptions } from "./pool.ts";
import { type Connection, connectionsOf, type Resting, type Site, type Sites } from "./site.ts";
import { type Turn, type Wait, Waiting } from "./waiting.ts";

export type ConnectionsOptions = Omit<PoolOptions<unknown>, "open" | "restMs"> & {
  /** The next message finds out whether the site is well again. */
  onProbe(site: Site): void;
};

/**
 * The connections of all sites, and who gets the next one: the first in a site's line, as soon as its limits give leave
 * and there is a session, or a place for one. When all connections are in use, sites take turns too.
 */
export class Connections {
  readonly #options: ConnectionsOptions;
  readonly #limits: Limits;
  readonly #sites: Sites;
  readonly #idle: IdleSessions;
  /** Sites that somebody waits for, in the order of their turns when all connections are in use. */
  readonly #awaited = new Set<Site>();
  #taken = 0;

  constructor(options: ConnectionsOptions, sites: Sites) {
    this.#options = options;
    this.#limits = options.limits;
    this.#sites = sites;
    this.#idle = new IdleSessions(options.idleMsMax, (connection) => this.#retireIdle(connection));
  }

  count = () => ({ open: this.#taken, idle: this.#idle.count });

  /** Somebody is in line, or there is no connection: then it is to be expected how long it takes. */
  mustWait(site: Site): boolean {
    if (site.line.size() > 0) return true;
    if (site.idle.length > 0) return false;
    return !this.#mayOpen(site) || (this.#isFull() && this.#idle.count === 0);
  }

  /** When one, or `count` of them, shall come again. Turns of a site that is left alone cannot be foreseen: they look soon after. */
  comeAgain(site: Site, place: Place, count = 1): Wait {
    const { now, random } = this.#options;
    const pause = this.#limits.pause(site.key);
    if (pause !== undefined) return spread(pause, pause.untilMs - now(), random);
    return comeAgain(site, place, now(), random, count);
  }

  /** Stands in line until its turn comes, at the latest for `waitMs`. */
  wait(
    site: Site,
    place: Place,
    use: string,
    { waitMs, hasLeave, signal }: { waitMs: number; hasLeave: boolean; signal: AbortSignal | undefined },
  ): Promise<Turn> {
    const { now } = this.#options;
    const waiting = new Waiting(place, use, hasLeave, now() + waitMs);
    if (site.line.size() === 0) site.lineSinceMs = now();
    site.line.push(waiting);
    this.#demand(site);
    this.serve(site);
    const leaveWith = (turn: () => Turn) => () => {
      if (site.line.remove(waiting)) waiting.end(turn());
    };
    waiting.limit(
      waitMs,
      leaveWith(() => this.comeAgain(site, waiting)),
      signal,
      leaveWith(() => ({ kind: "interrupted" })),
    );
    return waiting.turn;
  }

  /** Hands out what the site may be given, to those whose turn it is. */
  serve(site: Site): void {
    while (site.line.size() > 0) {
      if (site.idle.length === 0) {
        if (!this.#mayOpen(site)) {
          const pause = this.#limits.pause(site.key);
          if (pause !== undefined) this.#sendAway(site, pause);
          return;
        }
        if (!this.#hasRoom()) {
          this.#awaited.add(site);
          return;
        }
      }
      const next = site.line.shift();
      if (next === undefined) return;
      const leave: Leave = next.hasLeave ? go : this.#limits.leave(site.key, site.provider);
      if (leave.kind === "wait") {
        this.#postpone(site, next, leave);
        return;
      }
      if (leave.isProbe) this.#options.onProbe(site);
      // How long a pause had still to go says nothing of the time between two messages after it.
      site.gapMs = site.isGapOfPause ? 0 : site.gapMs * gapDecay;
      site.isGapOfPause = false;
      this.#give(site, next);
    }
  }

  /** A session, or the place for one: of those that this one cannot use, one makes room. */
  #give(site: Site, next: Waiting): void {
    const connection = this.#idle.take(site, next.use);
    if (connection !== undefined) next.end({ kind: "idle", connection });
    else if (this.#mayOpen(site) && this.#hasRoom()) {
      site.taken++;
      this.#taken++;
      next.end({ kind: "free" });
    } else this.#replaceFirst(site, next);
  }

  /** A session for another use of the site says QUIT: its place is the next one's when it is closed. */
  #replaceFirst(site: Site, next: Waiting): void {
    const [connection] = site.idle;
    if (connection === undefined) {
      // Nothing waits that could make room after all: its turn comes again, with the leave it has.
      next.hasLeave = true;
      site.line.push(next);
      return;
    }
    this.#idle.remove(connection);
    connection.session.quit();
    whenClosed(connection, () => next.end({ kind: "free" }));
  }

  /** No leave now: who can wait for it does, the others are told when to come again. */
  #postpone(site: Site, next: Waiting, leave: Wait): void {
    const waitMs = leave.untilMs - this.#options.now();
    site.line.push(next);
    this.#sendAway(site, leave);
    if (site.line.size() === 0) return;
    site.gapMs = Math.max(site.gapMs, waitMs);
    site.isGapOfPause = leave.isPause === true;
    clearTimeout(site.timer);
    site.timer = setTimeout(() => this.serve(site), Math.max(1, waitMs));
  }

  /** Those who cannot wait for leave as long. */
  #sendAway(site: Site, leave: Wait): void {
    const { now, random } = this.#options;
    const waitMs = leave.untilMs - now();
    if (waitMs <= shortMsMax) return;
    for (const waiting of site.line.all())
      if (waiting.deadlineMs < leave.untilMs && site.line.remove(waiting))
        waiting.end(spread(leave, waitMs, random));
  }

  /** A place at the site is free: it goes to whoever waits. */
  #handOn(site: Site): void {
    this.#demand(site);
    if (this.#awaited.size === 0) {
      this.serve(site);
      return;
    }
    if (site.line.size() > 0) {
      this.#awaited.delete(site);
      this.#awaited.add(site);
    }
    this.#serveNext();
  }

  /** The next site whose messages wait for one of all connections; its turn is over then. */
  #serveNext(): void {
    for (let left = this.#awaited.size; left > 0 && !this.#isFull(); left--) {
      const [site] = this.#awaited;
      if (site === undefined) return;
      this.#awaited.delete(site);
      this.serve(site);
    }
  }

  #mayOpen = (site: Site) => connectionsOf(site) < this.#limits.connectionsMax(site.key, site.provider);
  #isFull = () => this.#taken >= this.#options.connectionsMax;

  /** True when there is room for one more; a session that waits at another site makes room. */
  #hasRoom(): boolean {
    if (this.#isFull() && this.#idle.count > 0) this.#retireOldest();
    return !this.#isFull();
  }

  #demand = (site: Site) =>
    this.#options.onDemand?.(site.key, site.line.size() + site.taken - site.idle.length);

  /** A session was opened in a place that was free. */
  add(site: Site, session: Session, use: string): Connection {
    const connection: Connection = {
      site,
      session,
      use,
      messages: 0,
      isIdle: false,
      timer: undefined,
      isClosed: false,
      onClosed: undefined,
    };
    session.onEnd(() => this.#closed(connection));
    return connection;
  }

  /** No session came about in a place that was free, or it is gone. */
  giveBack(site: Site): void {
    site.taken--;
    this.#taken--;
    this.#handOn(site);
  }

  /** Limits may have sunk since the session was opened, and it may have carried all that it is to carry. */
  mayKeep({ site, session, messages }: Connection): boolean {
    return (
      session.isOpen &&
      site.taken <= this.#limits.connectionsMax(site.key, site.provider) &&
      messages < this.#limits.messagesMax(site.key, site.provider)
    );
  }

  /** Goes to the next in line, or waits for one. */
  keep(connection: Connection): void {
    const { site } = connection;
    this.#idle.add(connection);
    this.#demand(site);
    this.serve(site);
    if (!connection.isIdle) return;
    this.#idle.limit(connection);
    if (this.#isFull() && this.#awaited.size > 0) this.#retireIdle(connection);
    else if (this.#idle.count > this.#options.idleMax) this.#retireOldest();
  }

  /** Ends a session. Its place at the site is free when it is closed; other sites need not wait for that. */
  retire(connection: Connection): void {
    const { site, session } = connection;
    site.taken--;
    this.#taken--;
    site.closing++;
    session.quit();
    whenClosed(connection, () => {
      site.closing--;
      this.#handOn(site);
    });
    this.#serveNext();
  }

  /** Ends the sessions of a use that wait, or all. */
  retireAllIdle(site: Site, use?: string): void {
    for (const connection of [...site.idle])
      if (use === undefined || connection.use === use) this.#retireIdle(connection);
  }

  #retireIdle(connection: Connection): void {
    if (this.#idle.remove(connection)) this.retire(connection);
  }
  #retireOldest(): void {
    for (const { idle } of this.#sites.all()) {
      const [oldest] = idle;
      if (oldest === undefined) continue;
      this.#retireIdle(oldest);
      return;
    }
  }

  #closed(connection: Connection): void {
    connection.isClosed = true;
    if (this.#idle.remove(connection)) this.giveBack(connection.site);
    else connection.onClosed?.();
  }

  /** The message over this session is answered: it may be closed where there are too many. */
  rest(site: Site, lease: Resting): void {
    site.resting.add(lease);
    if (site.isOver) this.#shrink(site);
  }

  /** The site's limits have changed: what is too much goes, and whoever waits is looked at again. */
  adapt(site: Site): void {
    this.#shrink(site);
    this.serve(site);
  }

  /** Closes sessions over which nobody speaks. Those that have said QUIT are on their way out already. */
  #shrink(site: Site): void {
    const max = this.#limits.connectionsMax(site.key, site.provider);
    for (const connection of site.idle.slice(0, Math.max(0, site.taken - max))) this.#retireIdle(connection);
    for (const lease of site.resting) {
      if (site.taken <= max) break;
      lease.release("broken");
    }
    site.isOver = site.taken > max;
  }

  /** Ends what waits. */
  close(): void {
    for (const site of this.#sites.all()) {
      clearTimeout(site.timer);
      this.retireAllIdle(site);
    }
  }
}

const go = { kind: "go" } as const;
/** A rate that gives leave again is forgotten step by step. */
const gapDecay = 0.8;

function whenClosed(connection: Connection, go: () => void): void {
  if (connection.isClosed) go();
  else connection.onClosed = go;
}
