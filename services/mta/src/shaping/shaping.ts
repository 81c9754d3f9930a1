import { bucketKey, type Reply, reasons, type SiteRecord } from "@tyto/contracts";
import { BoundedMap } from "@tyto/service";
import type { Leave, Observation } from "../observation.ts";
import { waitAsked } from "../schedule.ts";
import { countOf } from "./minute.ts";
import type { Profile, Profiles } from "./profiles.ts";
import { signOf } from "./sign.ts";
import {
  burstOf,
  giveBack,
  learn,
  newThrottle,
  reset,
  setShare,
  slow,
  suspend,
  type Throttle,
  takeToken,
} from "./throttle.ts";

/** A site as one of our addresses sees it: the id of the egress and of the site. */
export type SiteKey = { egress: string; site: string };

/** One row for operators: `tyto queue`, the API, the pages. */
export type SiteStatus = {
  egress: string;
  site: string;
  provider?: string;
  state: Throttle["state"];
  /** End of the pause, or of the probe's time. */
  untilMs?: number;
  /** Why it is not open, in words. */
  why?: string;
  /** Absent: not limited. */
  ratePerMin?: number;
  connectionsMax: number;
  messagesMax: number;
  deliveredLastMin: number;
  deferredLastMin: number;
  /** The newest last. */
  lastReplies: readonly { atMs: number; code: number; text: string }[];
};

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
  /** Connections that the site may have now. */
  connectionsMax(key: SiteKey, provider?: string): number;
  /** Messages over one connection. */
  messagesMax(key: SiteKey, provider?: string): number;
  see(observation: Observation): void;
  /** Leaves the site alone until `untilMs`; then one message probes it. */
  suspend(key: SiteKey, provider: string | undefined, untilMs: number, why: string): void;
  /** Lowers rate and connections once. */
  slow(key: SiteKey, provider: string | undefined, why: string): void;
  /** Forgets what was learned of a site, for all our addresses. Tells how many rows that were. */
  reset(site: string): number;
  /** The busiest and the sick ones first. `site` is an id; without it, all. */
  status(site?: string): SiteStatus[];
  /** Rows that changed since the last call, at most `max`; without a record the row is gone. */
  changes(max: number): { key: string; record: SiteRecord | undefined }[];
  /** What an earlier process knew. Rows that are old are left out. */
  restore(record: SiteRecord): void;
};

/** Sites that are remembered, per process; the one that was asked for longest ago is forgotten first, and its record goes by age. */
const sitesMax = 10_000;
const pauseFirstMsUsual = 30_000;
const repliesMax = 5;
const replyCharsMax = 200;
const whyCharsMax = 200;
/** What was learned longer ago says nothing about today. */
const recordMsMax = 86_400_000;

type Row = {
  key: SiteKey;
  provider: string | undefined;
  throttle: Throttle;
  replies: { atMs: number; code: number; text: string }[];
  /** What of it is stored, to know what changed. */
  stored: string;
};

/** Limits per (egress, site), learned from outcomes. Each process learns for itself, and uses its share of what it learned. */
export function createShaping(ports: ShapingPorts): Shaping {
  const { profiles, now, shareOf } = ports;
  const pauses = { firstMs: ports.pauseFirstMs ?? pauseFirstMsUsual, random: ports.random };
  const rows = new BoundedMap<string, Row>(sitesMax);
  /** Rows that may have changed since they were stored. */
  const touched = new Set<string>();

  const rowOf = (key: SiteKey, provider: string | undefined): Row => {
    const name = keyOf(key);
    const known = rows.get(name);
    if (known !== undefined) {
      rows.set(name, known);
      if (provider !== undefined) known.provider = provider;
      return known;
    }
    const row: Row = {
      key,
      provider,
      throttle: newThrottle(profiles(key.site, provider), now()),
      replies: [],
      stored: "",
    };
    rows.set(name, row);
    return row;
  };
  const profileOf = ({ key, provider }: Row) => profiles(key.site, provider);

  /** The limit over all processes. */
  const wholeOf = (key: SiteKey, provider: string | undefined): Limit => {
    const row = rows.get(keyOf(key));
    const { connectionsMax, rate } = profiles(key.site, provider ?? row?.provider);
    return {
      connectionsMax: Math.min(row?.throttle.connections ?? connectionsMax, connectionsMax),
      perMinute:
        (row === undefined ? rate?.startPerMin : row.throttle.ratePerMin) ?? Number.POSITIVE_INFINITY,
    };
  };
  /** Takes over what is this process's part now. */
  const share = (row: Row, nowMs: number): Limit => {
    const whole = wholeOf(row.key, row.provider);
    if (shareOf === undefined) return whole;
    const part = shareOf(row.key, whole);
    const isLimited = Number.isFinite(whole.perMinute);
    const [own, all] = isLimited
      ? [part.perMinute, whole.perMinute]
      : [part.connectionsMax, whole.connectionsMax];
    setShare(row.throttle, Math.min(1, own / all), nowMs);
    return part;
  };

  return {
    leave(key, provider, nowMs = now()) {
      const row = rowOf(key, provider);
      const before = row.throttle.state;
      share(row, nowMs);
      const leave = takeToken(row.throttle, profileOf(row), nowMs);
      if (row.throttle.state !== before) touched.add(keyOf(key));
      if (leave.kind === "go") return leave;
      return { ...leave, why: `${row.provider ?? key.site}: ${leave.why}` };
    },

    giveBack(key) {
      const row = rows.get(keyOf(key));
      if (row !== undefined) giveBack(row.throttle, now());
    },

    connectionsMax(key, provider) {
      const row = rows.get(keyOf(key));
      if (row !== undefined) return share(row, now()).connectionsMax;
      const whole = wholeOf(key, provider);
      return (shareOf?.(key, whole) ?? whole).connectionsMax;
    },

    messagesMax: (key, provider) =>
      profiles(key.site, provider ?? rows.get(keyOf(key))?.provider).messagesMax,

    see(observation) {
      const { atMs, egress, site, outcome, reply } = observation;
      const sign = signOf(observation);
      const row = rowOf({ egress: egress.id, site: site.id }, site.provider);
      const profile = profileOf(row);
      if (outcome !== "delivered") keep(row, atMs, reply);
      const said = saidBy(observation);
      const askedMs = reply === undefined ? undefined : waitAsked(reply.text);
      learn(row.throttle, profile, { sign, outcome, said, askedMs }, atMs, pauses);
      if (sign !== "none") touched.add(keyOf(row.key));
    },

    suspend(key, provider, untilMs, why) {
      suspend(rowOf(key, provider).throttle, untilMs, why.slice(0, whyCharsMax), now());
      touched.add(keyOf(key));
    },

    slow(key, provider, why) {
      const row = rowOf(key, provider);
      slow(row.throttle, profileOf(row), why.slice(0, whyCharsMax), now());
      touched.add(keyOf(key));
    },

    reset(site) {
      const found = [...rows.values()].filter((row) => row.key.site === site);
      for (const row of found) {
        reset(row.throttle, profileOf(row), now());
        touched.add(keyOf(row.key));
      }
      return found.length;
    },

    status: (site) =>
      [...rows.values()]
        .filter((row) => site === undefined || row.key.site === site)
        .map((row) => statusOf(row, profileOf(row), now()))
        .toSorted((a, b) => rank[a.state] - rank[b.state] || b.deliveredLastMin - a.deliveredLastMin),

    changes(max) {
      const changed: { key: string; record: SiteRecord | undefined }[] = [];
      for (const name of touched) {
        if (changed.length >= max) break;
        touched.delete(name);
        const row = rows.get(name);
        if (row === undefined) continue;
        const record = recordOf(row, profileOf(row), now());
        const stored = record === undefined ? "" : JSON.stringify({ ...record, savedAtMs: 0 });
        if (row.stored === stored) continue;
        row.stored = stored;
        changed.push({ key: bucketKey(row.key.egress, row.key.site), record });
      }
      return changed;
    },

    restore(record) {
      const nowMs = now();
      if (nowMs - record.savedAtMs > recordMsMax) return;
      const row = rowOf({ egress: record.egress, site: record.site }, record.provider);
      const { rate, floorPerMin, connectionsMax } = profileOf(row);
      const { throttle } = row;
      throttle.state = record.state;
      throttle.untilMs = record.untilMs ?? 0;
      throttle.why = record.why ?? "";
      throttle.pauses = record.pauses;
      throttle.connections = Math.min(record.connections, connectionsMax);
      const learned = record.ratePerMin === undefined ? undefined : Math.max(record.ratePerMin, floorPerMin);
      // What an operator set since goes before what was learned under other bounds.
      throttle.ratePerMin =
        rate === undefined ? learned : Math.min(learned ?? rate.startPerMin, rate.ceilingPerMin);
      throttle.tokens = Math.min(throttle.tokens, burstOf(throttle.ratePerMin));
      throttle.troubleAtMs = record.troubleAtMs;
      row.stored = JSON.stringify({ ...record, savedAtMs: 0 });
    },
  };
}

const rank = { suspended: 0, probing: 1, slowed: 2, open: 3 } as const;

const keyOf = ({ egress, site }: SiteKey) => `${egress}/${site}`;

function keep(row: Row, atMs: number, reply: Reply | undefined): void {
  if (reply === undefined) return;
  row.replies.push({ atMs, code: reply.code, text: reply.text.slice(0, replyCharsMax) });
  if (row.replies.length > repliesMax) row.replies.shift();
}

/** What the operator reads as the reason of a pause: the receiver's own words, where there are any. */
function saidBy({ reply, reason }: Observation): string {
  const say = reason === undefined ? "" : reasons[reason].say;
  if (reply === undefined) return say;
  const text = reply.text.replaceAll(/\s+/g, " ").slice(0, whyCharsMax - 60);
  return `${say} (${reply.code} ${text})`;
}

function statusOf({ key, provider, throttle, replies }: Row, profile: Profile, nowMs: number): SiteStatus {
  const { state, untilMs, why, ratePerMin } = throttle;
  return {
    ...key,
    ...(provider === undefined ? {} : { provider }),
    state,
    ...(state === "suspended" || state === "probing" ? { untilMs } : {}),
    ...(state === "open" || why === "" ? {} : { why }),
    ...(ratePerMin === undefined ? {} : { ratePerMin: Math.round(ratePerMin * 10) / 10 }),
    connectionsMax: Math.min(throttle.connections, profile.connectionsMax),
    messagesMax: profile.messagesMax,
    deliveredLastMin: countOf(throttle.delivered, nowMs),
    deferredLastMin: countOf(throttle.deferred, nowMs),
    lastReplies: [...replies],
  };
}

/** A site that is as its profile says needs no record. */
function recordOf({ key, provider, throttle }: Row, profile: Profile, nowMs: number): SiteRecord | undefined {
  const { state, untilMs, why, ratePerMin, connections, pauses, troubleAtMs } = throttle;
  const isUsual =
    state === "open" && ratePerMin === profile.rate?.startPerMin && connections >= profile.connectionsMax;
  if (isUsual) return undefined;
  return {
    ...key,
    ...(provider === undefined ? {} : { provider }),
    state: state === "probing" ? "suspended" : state,
    ...(state === "suspended" || state === "probing" ? { untilMs } : {}),
    ...(why === "" ? {} : { why }),
    ...(ratePerMin === undefined ? {} : { ratePerMin: Math.round(ratePerMin * 10) / 10 }),
    connections,
    pauses,
    troubleAtMs: Math.max(0, troubleAtMs),
    savedAtMs: nowMs,
  };
}
