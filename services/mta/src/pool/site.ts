import type { SiteKey } from "../shaping/shaping.ts";
import type { Session } from "../smtp.ts";
import { createLine } from "./line.ts";
import type { Waiting } from "./waiting.ts";

/** What the pool knows of an address of ours and a site. */
export type Site = {
  readonly key: SiteKey;
  readonly provider: string | undefined;
  /** Connections that are open, being opened, or leased. */
  taken: number;
  /** Said QUIT, and not closed yet: the remote server still counts them. */
  closing: number;
  /** Of those taken, the ones that wait for their next message; the one used last stands last. */
  readonly idle: Connection[];
  /** Leases whose message is answered, and whose outcome is being stored. */
  readonly resting: Set<Resting>;
  /** More are taken than the site may have, and none of them can be closed yet. */
  isOver: boolean;
  readonly line: ReturnType<typeof createLine<Waiting>>;
  /** Since when somebody is in line. */
  lineSinceMs: number;
  /** How long a session is leased, on average of the last ones. */
  leaseMs: number;
  leasedAtMs: number;
  /** When it last spoke again: how long the probe took before tells nothing of the time that messages take now. */
  openedAtMs: number;
  /** How far apart the limits keep messages; 0 while they do not. */
  gapMs: number;
  /** The site was left alone when it was last asked for leave; `gapMs` is how long that had still to go. */
  isGapOfPause: boolean;
  /** Looks again when there is leave for the next. */
  timer: Timer | undefined;
  /** Up to when those of each owner that were sent away have their turns. */
  readonly booked: Map<string, number>;
  /** When the next `left` of those come again that are too many to be booked. */
  block: { atMs: number; left: number };
};

/** A lease that may end before its holder ends it. */
export type Resting = { release(state: "broken"): void };

/** An open session, as the pool keeps it from message to message. */
export type Connection = {
  readonly site: Site;
  readonly session: Session;
  /** Who may use it: those who want the same host and ask the same of it. */
  readonly use: string;
  /** How many it has carried. */
  messages: number;
  isIdle: boolean;
  /** Runs while it is idle. */
  timer: Timer | undefined;
  isClosed: boolean;
  /** Who waits for its place. */
  onClosed: (() => void) | undefined;
};

/** Before a site has shown how fast it is. */
const leaseMsFirst = 100;
/** The weight of the latest lease in the average. */
const leaseShare = 0.2;
/** Sites that are remembered though nothing is open or waits. */
const quietMax = 10_000;

const newSite = (key: SiteKey, provider: string | undefined, nowMs: number): Site => ({
  key,
  provider,
  taken: 0,
  closing: 0,
  idle: [],
  resting: new Set(),
  isOver: false,
  line: createLine(),
  lineSinceMs: nowMs,
  leaseMs: leaseMsFirst,
  leasedAtMs: nowMs,
  openedAtMs: nowMs,
  gapMs: 0,
  isGapOfPause: false,
  timer: undefined,
  booked: new Map(),
  block: { atMs: 0, left: 0 },
});

/** As many as the remote server counts. */
export const connectionsOf = ({ taken, closing }: Site): number => taken + closing;

/** Learns how long messages take here, from one that began at `startedMs` and is over. */
export function seeLease(site: Site, startedMs: number, nowMs: number): void {
  if (startedMs < site.openedAtMs) return;
  site.leaseMs += (nowMs - startedMs - site.leaseMs) * leaseShare;
}

/** The site was left alone and speaks again: turns that were given out meanwhile were those of a site in trouble. */
export function beginAnew(site: Site, nowMs: number): void {
  site.openedAtMs = nowMs;
  site.leasedAtMs = nowMs;
  site.leaseMs = leaseMsFirst;
  site.booked.clear();
}

const nameOf = (egress: string, site: string) => `${egress} ${site}`;

/** All sites that something is open to, or somebody waits for, and some that were. */
export class Sites {
  readonly #sites = new Map<string, Site>();

  of(egress: string, id: string, provider: string | undefined, nowMs: number): Site {
    const name = nameOf(egress, id);
    const known = this.#sites.get(name);
    if (known !== undefined) return known;
    const site = newSite({ egress, site: id }, provider, nowMs);
    this.#sites.set(name, site);
    if (this.#sites.size > quietMax) this.#forgetQuiet();
    return site;
  }

  get = ({ egress, site }: SiteKey): Site | undefined => this.#sites.get(nameOf(egress, site));
  /** In the order in which they were first used. */
  all = (): Iterable<Site> => this.#sites.values();

  #forgetQuiet(): void {
    for (const [name, site] of this.#sites) {
      if (connectionsOf(site) > 0 || site.line.size() > 0) continue;
      this.#sites.delete(name);
      return;
    }
  }
}
