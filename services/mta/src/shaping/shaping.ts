import type { SiteRecord } from "@tyto/contracts";
import type { Leave, Observation } from "../observation.ts";
import { waitAsked } from "../schedule.ts";
import type { Profiles } from "./profiles.ts";
import { keep, type Row, type SiteKey, type SiteStatus, saidBy, statusOf, storable } from "./row.ts";
import { Rows } from "./rows.ts";
import { signOf } from "./sign.ts";
import {
  askNext,
  giveBack,
  isLeftAlone,
  learn,
  pauseOf,
  setShare,
  slow,
  suspend,
  takeToken,
} from "./throttle.ts";

export type { SiteKey, SiteStatus } from "./row.ts";

export type ShapingPorts = {
  profiles: Profiles;
  now: () => number;
  /** From 0 up to 1. */
  random: () => number;
  /** The first pause of a site that nothing is taken by; 30 s without it. */
  pauseFirstMs?: number;
  /**
   * What this process may use of a limit that all share; without it, all of it. A rate that is not limited is infinite.
   * shares.shareOf.
   */
  shareOf?(key: SiteKey, limit: Limit): Limit;
};

type Limit = { connectionsMax: number; perMinute: number };

export type Shaping = {
  /**
   * Takes one token of the site, or tells from when on there is one and why there is none now. Of a suspended site
   * whose pause is over it gives one message leave: the probe. Who took leave tells the outcome by `see`, or gives it back.
   */
  leave(key: SiteKey, provider: string | undefined, nowMs?: number): Leave;
  /** The message that had leave was not tried after all. */
  giveBack(key: SiteKey): void;
  /** Why nothing may go now and until when, while the site is left alone; takes nothing. */
  pause(key: SiteKey): Extract<Leave, { kind: "wait" }> | undefined;
  /** Connections that the site may have now. */
  connectionsMax(key: SiteKey, provider?: string): number;
  /** Messages over one connection. */
  messagesMax(key: SiteKey, provider?: string): number;
  see(observation: Observation): void;
  /** Leaves the site alone until `untilMs`; then one message probes it. */
  suspend(key: SiteKey, provider: string | undefined, untilMs: number, why: string): void;
  /** Lowers rate and connections once. */
  slow(key: SiteKey, provider: string | undefined, why: string): void;
  /** Has suspended rows of a site asked by the next message, for all our addresses. Tells how many rows that were. */
  askNext(site: string): number;
  /** The busiest and the sick ones first. `site` is an id; without it, all. */
  status(site?: string): SiteStatus[];
  /** Rows that changed since the last call, at most `max`; without a record the row is gone. */
  changes(max: number): { key: string; record: SiteRecord | undefined }[];
  /** What an earlier process knew. Rows that are old are left out. */
  restore(record: SiteRecord): void;
  /** What another process learned just now: that a site is left alone, or that one which is left alone here speaks again. */
  hear(record: SiteRecord): void;
  /** Calls back when a site is left alone from now on, or speaks again: others should know before one of them asks. */
  onUrgent(tell: () => void): void;
  /** Calls back when a site that was left alone speaks again, with us or with another process. */
  onOpened(opened: (key: SiteKey) => void): void;
};

const pauseFirstMsUsual = 30_000;

/** Limits per (egress, site), learned from outcomes. Each process learns for itself, and uses its share of what it learned. */
export function createShaping(ports: ShapingPorts): Shaping {
  const { profiles, now, shareOf } = ports;
  const pauses = { firstMs: ports.pauseFirstMs ?? pauseFirstMsUsual, random: ports.random };
  const rows = new Rows(profiles);
  const listeners: (() => void)[] = [];
  const openedListeners: ((key: SiteKey) => void)[] = [];
  const isAlone = (key: SiteKey) => {
    const row = rows.get(key);
    return row !== undefined && isLeftAlone(row.throttle);
  };
  /** Does `learning`, and tells when that opens the site. */
  const opening = (key: SiteKey, learning: () => void): boolean => {
    const wasAlone = isAlone(key);
    learning();
    const isOpened = wasAlone && !isAlone(key);
    if (isOpened) for (const opened of openedListeners) opened(key);
    return isOpened;
  };
  /** Does `learning`, and tells when that stops or opens the site. */
  const telling = (key: SiteKey, learning: () => void) => {
    const before = rows.get(key)?.throttle.state;
    const untilMs = rows.get(key)?.throttle.untilMs;
    const isOpened = opening(key, learning);
    const { throttle } = rows.get(key) ?? {};
    const isStopped =
      throttle?.state === "suspended" && (before !== "suspended" || throttle.untilMs !== untilMs);
    if (isStopped || isOpened) for (const tell of listeners) tell();
  };

  /** What this process may use of the site's limits now. */
  const partOf = (row: Row): Limit => {
    rows.fitted(row, now());
    return takeShare(row, profiles, shareOf, now());
  };

  return {
    leave(key, provider, nowMs = now()) {
      const row = rows.of(key, provider, nowMs);
      const before = row.throttle.state;
      const profile = rows.fitted(row, nowMs);
      const part = takeShare(row, profiles, shareOf, nowMs);
      const leave = takeToken(row.throttle, profile, nowMs, part.connectionsMax >= 1);
      if (row.throttle.state !== before) rows.touch(row);
      if (leave.kind === "go") return leave;
      return named(row, leave);
    },

    pause(key) {
      const row = rows.get(key);
      if (row === undefined || !isLeftAlone(row.throttle)) return undefined;
      const { connectionsMax } = partOf(row);
      const pause = pauseOf(row.throttle, now(), connectionsMax >= 1);
      return pause && named(row, pause);
    },

    giveBack(key) {
      const row = rows.get(key);
      if (row !== undefined) giveBack(row.throttle, now());
    },

    connectionsMax(key, provider) {
      const row = rows.get(key);
      if (row !== undefined) return partOf(row).connectionsMax;
      const whole = wholeOf(undefined, profiles, key, provider);
      return (shareOf?.(key, whole) ?? whole).connectionsMax;
    },

    messagesMax: (key, provider) => profiles(key.site, provider ?? rows.get(key)?.provider).messagesMax,

    see: (observation) =>
      telling({ egress: observation.egress.id, site: observation.site.id }, () =>
        learnFrom(rows, observation, pauses, now()),
      ),

    suspend: (key, provider, untilMs, why) =>
      telling(key, () => {
        const row = rows.of(key, provider, now());
        suspend(row.throttle, untilMs, storable(why), now());
        rows.touch(row);
      }),

    slow(key, provider, why) {
      const row = rows.of(key, provider, now());
      slow(row.throttle, rows.fitted(row, now()), storable(why), now());
      rows.touch(row);
    },

    askNext(site) {
      const asked = rows.list(site).filter((row) => askNext(row.throttle, now()));
      for (const row of asked) rows.touch(row);
      return asked.length;
    },

    status: (site) => statusesOf(rows, site, now()),
    changes: (max) => rows.changes(max, now()),
    restore: (record) => rows.restore(record, now()),
    hear: (record) => void opening(record, () => rows.hear(record, now())),
    onUrgent: (tell) => void listeners.push(tell),
    onOpened: (opened) => void openedListeners.push(opened),
  };
}

const named = <W extends { why: string }>({ key, provider }: Row, wait: W): W => ({
  ...wait,
  why: `${provider ?? key.site}: ${wait.why}`,
});

function learnFrom(
  rows: Rows,
  observation: Observation,
  pauses: Parameters<typeof learn>[4],
  nowMs: number,
): void {
  const { atMs, egress, site, outcome, reply } = observation;
  const sign = signOf(observation);
  const row = rows.of({ egress: egress.id, site: site.id }, site.provider, nowMs);
  if (outcome !== "delivered") keep(row, atMs, reply);
  const said = saidBy(observation);
  const askedMs = reply === undefined ? undefined : waitAsked(reply.text);
  learn(row.throttle, rows.fitted(row, nowMs), { sign, outcome, said, askedMs }, atMs, pauses);
  if (sign !== "none") rows.touch(row);
}

/** The limit over all processes. */
function wholeOf(
  row: Row | undefined,
  profiles: Profiles,
  key: SiteKey,
  provider: string | undefined = row?.provider,
): Limit {
  const { connectionsMax, rate } = profiles(key.site, provider);
  return {
    connectionsMax: Math.min(row?.throttle.connections ?? connectionsMax, connectionsMax),
    perMinute: (row === undefined ? rate?.startPerMin : row.throttle.ratePerMin) ?? Number.POSITIVE_INFINITY,
  };
}

/** Takes over what is this process's part now. */
function takeShare(row: Row, profiles: Profiles, shareOf: ShapingPorts["shareOf"], nowMs: number): Limit {
  const whole = wholeOf(row, profiles, row.key);
  if (shareOf === undefined) return whole;
  const part = shareOf(row.key, whole);
  const isLimited = Number.isFinite(whole.perMinute);
  const [own, all] = isLimited
    ? [part.perMinute, whole.perMinute]
    : [part.connectionsMax, whole.connectionsMax];
  setShare(row.throttle, Math.min(1, own / all), nowMs);
  return part;
}

const rank = { suspended: 0, probing: 1, slowed: 2, open: 3 } as const;

const statusesOf = (rows: Rows, site: string | undefined, nowMs: number): SiteStatus[] =>
  rows
    .list(site)
    .map((row) => statusOf(row, rows.fitted(row, nowMs), nowMs))
    .toSorted((a, b) => rank[a.state] - rank[b.state] || b.deliveredLastMin - a.deliveredLastMin);
