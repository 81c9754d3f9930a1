/**
 * Shares of the limits of sites among all mta processes on one NATS. `member.ts` decides; here are the buckets, the
 * clock and the timer.
 */
import type { Bus } from "@tyto/bus";
import { Failure, subjectToken } from "@tyto/contracts";
import type { Log } from "@tyto/service";
import type { Limit } from "./claim.ts";
import { Following } from "./following.ts";
import { createMember, type Member } from "./member.ts";
import type { Write } from "./write.ts";
import { Writing } from "./writing.ts";

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
  status(): ReturnType<Member["status"]>;
  /** One key: what this process may use, and the claims of all. */
  statusOf(key: string): ReturnType<Member["statusOf"]>;
  /** Tells the others that this process is gone, once its connections are closed. Those that stay open leave it to the silence. */
  stop(): Promise<void>;
};

/** The key of an egress and a site; limits belong to the two together. */
export const shareKey = (egressId: string, siteId: string): string =>
  `${subjectToken(egressId)}.${subjectToken(siteId)}`;

const tickMs = 100;
/** For so long it is waited for connections that have said QUIT, and looked at them so often. */
const closedMsMax = 6_000;
const closedLookMs = 10;

/** Resolves when it watches the others. Before the first beat came back, a moment later, every share is nothing. */
export async function createShares(ports: SharesPorts): Promise<Shares> {
  const { bucket, elapsedMs, now, log } = ports;
  const listeners = new Set<(key: string | undefined) => void>();
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
      queueMicrotask(() => void following.beginAnew());
    },
  });
  const writing = new Writing({
    peers: bucket("PEERS"),
    shares: bucket("SHARES"),
    writes: () => member.writes(elapsedMs(), now()),
    written: (write, result) => member.written(write, result, elapsedMs()),
    log,
  });
  const following = new Following({
    bucket,
    seeRecord(key, record, revision) {
      member.seeRecord(key, record, revision);
      writing.flush();
    },
    seeBeat(name, beat, revision) {
      member.seeBeat(name, beat, revision, elapsedMs());
      writing.flush();
    },
    log,
  });

  await following.begin();
  writing.flush();
  const timer = setInterval(writing.flush, tickMs);
  /** Alone there is nothing to tell. */
  const tell = () => {
    if (member.mode() === "shared") writing.flush();
  };

  return {
    shareOf(key, limit) {
      const share = member.shareOf(key, limit, elapsedMs());
      tell();
      return share;
    },
    demand(key, wanted) {
      member.demand(key, wanted);
      tell();
    },
    onChange: (listener) => void listeners.add(listener),
    status: () => member.status(elapsedMs()),
    statusOf: (key) => member.statusOf(key),
    async stop() {
      for (const giveUpMs = elapsedMs() + closedMsMax; !member.isIdle() && elapsedMs() < giveUpMs; )
        await Bun.sleep(closedLookMs);
      clearInterval(timer);
      writing.stop();
      following.stop();
      const goodbye = member.leave();
      if (goodbye !== undefined) await sayGoodbye(writing, goodbye, log);
    },
  };
}

async function sayGoodbye(writing: Writing, goodbye: Write, log: Log): Promise<void> {
  try {
    await writing.store(goodbye);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    // The others will notice the silence.
    log.debug("mta.shares-left-silently", { error });
  }
}
