/**
 * Shares of the limits of sites among all mta processes on one NATS. `member.ts` decides; here are the buckets, the
 * clock and the timer.
 */
import type { Bus } from "@tyto/bus";
import { Failure, subjectToken } from "@tyto/contracts";
import type { Log } from "@tyto/service";
import type { Limit } from "./claim.ts";
import { createMember, type Write, type Written } from "./member.ts";

export type { Limit } from "./claim.ts";

export type SharesPorts = {
  bucket: Bus["bucket"];
  /** The name of this process among the others (`processName`). */
  name: string;
  /** Connections for `key` that are open or being opened; each counts until its socket is closed. */
  inUse: (key: string) => number;
  /** ms since some moment; never set back, and goes on while the machine sleeps. */
  elapsedMs: () => number;
  now: () => number;
  log: Log;
};

export type Shares = {
  /**
   * What this process may use of a limit now: connections at a time, and messages a minute. A limit that is asked for the
   * first time while others are there is nothing for the few ms that the claim takes; `onChange` tells.
   */
  shareOf(key: string, limit: Limit): Limit;
  /** How many messages for `key` wait here or are on their way. Shares follow it. */
  demand(key: string, wanted: number): void;
  /** Calls back with the key whose share changed, or without one when all did. */
  onChange(listener: (key: string | undefined) => void): void;
  status(): ReturnType<ReturnType<typeof createMember>["status"]>;
  /** One key: what this process may use, and the claims of all. */
  statusOf(key: string): ReturnType<ReturnType<typeof createMember>["statusOf"]>;
  /** Tells the others at once that this process is gone. Its connections have to be closed before. */
  stop(): Promise<void>;
};

/** The key of an egress and a site; limits belong to the two together. */
export const shareKey = (egressId: string, siteId: string): string =>
  `${subjectToken(egressId)}.${subjectToken(siteId)}`;

const tickMs = 100;
/** A bus that does not let us watch is asked again after this time. */
const watchAgainMs = 1_000;

/** Resolves when it watches the others. Before the first beat came back, a moment later, every share is nothing. */
export async function createShares(ports: SharesPorts): Promise<Shares> {
  const { bucket, elapsedMs, now, log } = ports;
  const [peers, shares] = [bucket("PEERS"), bucket("SHARES")];
  const listeners = new Set<(key: string | undefined) => void>();
  let watches: { stop(): void }[] = [];
  let generation = 0;
  let isStopped = false;
  let isFlushing = false;
  let isAsked = false;

  const member = createMember({
    name: ports.name,
    newId: () => crypto.randomUUID().slice(0, 13),
    inUse: ports.inUse,
    onChange(key) {
      for (const listener of listeners) listener(key);
    },
    onTrouble(what) {
      if (what === "lapsed") log.warn("mta.shares-lapsed");
      else log.error("mta.shares-name-taken", { name: ports.name });
      queueMicrotask(() => void watchAgain());
    },
  });

  const watch = async () => {
    const own = ++generation;
    for (const old of watches) old.stop();
    watches = [];
    // What was used is known before who is there: nobody can be alone who has not seen all claims.
    const opened = [
      await shares.watch((key, record, revision) => {
        if (own !== generation) return;
        member.seeRecord(key, record, revision);
        flush();
      }),
    ];
    opened.push(
      await peers.watch((key, peer, revision) => {
        if (own !== generation) return;
        member.seeBeat(key, peer, revision, elapsedMs());
        flush();
      }),
    );
    if (own === generation && !isStopped) watches = opened;
    else for (const late of opened) late.stop();
  };
  const watchAgain = async () => {
    while (!isStopped) {
      try {
        return await watch();
      } catch (error) {
        log.warn("mta.shares-watch-failed", { error });
        await Bun.sleep(watchAgainMs);
      }
    }
  };

  const store = (write: Write): Promise<number | undefined> =>
    write.kind === "beat"
      ? peers.update(write.key, write.value, write.revision)
      : shares.update(write.key, write.value, write.revision);
  const perform = async (write: Write): Promise<void> => {
    let result: Written;
    try {
      const revision = await store(write);
      result = revision === undefined ? { kind: "lost" } : { kind: "stored", revision };
    } catch (error) {
      log.debug("mta.share-not-stored", { key: write.key, error });
      result = { kind: "unknown" };
    }
    member.written(write, result, elapsedMs());
    flush();
  };
  /** After this turn of the event loop's microtasks: what changes side by side is written once. */
  const flush = () => {
    isAsked = true;
    if (isFlushing || isStopped) return;
    isFlushing = true;
    queueMicrotask(() => {
      isFlushing = false;
      if (isStopped || !isAsked) return;
      isAsked = false;
      for (const write of member.writes(elapsedMs(), now())) void perform(write);
    });
  };

  await watch();
  flush();
  const timer = setInterval(flush, tickMs);

  return {
    shareOf(key, limit) {
      const share = member.shareOf(key, limit, elapsedMs());
      if (member.mode() === "shared") flush();
      return share;
    },
    demand(key, wanted) {
      member.demand(key, wanted);
      if (member.mode() === "shared") flush();
    },
    onChange: (listener) => void listeners.add(listener),
    status: () => member.status(elapsedMs()),
    statusOf: member.statusOf,
    async stop() {
      clearInterval(timer);
      isStopped = true;
      generation++;
      for (const open of watches) open.stop();
      const goodbye = member.leave();
      if (goodbye === undefined) return;
      try {
        await store(goodbye);
      } catch (error) {
        if (!(error instanceof Failure)) throw error;
        // The others will notice the silence.
        log.debug("mta.shares-left-silently", { error });
      }
    },
  };
}

/** Of two clocks the one that went on further: the first stops while a machine sleeps, the second can be set back. */
export function createElapsed(monotonicMs: () => number, wallMs: () => number): () => number {
  let [monotonic, wall, elapsed] = [monotonicMs(), wallMs(), 0];
  return () => {
    const [nextMonotonic, nextWall] = [monotonicMs(), wallMs()];
    elapsed += Math.max(0, nextMonotonic - monotonic, nextWall - wall);
    [monotonic, wall] = [nextMonotonic, nextWall];
    return elapsed;
  };
}
