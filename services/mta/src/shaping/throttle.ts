import { phrase, type SiteRecord } from "@tyto/contracts";
import type { Leave } from "../observation.ts";
import { countOf, countOne, type Minute, newMinute } from "./minute.ts";
import type { Profile } from "./profiles.ts";
import type { Sign } from "./sign.ts";

/**
 * What one site takes from one source address, as far as it has shown. `open`: as much as it likes. `slowed`: less, since it
 * asked for that. `suspended`: nothing until `untilMs`. `probing`: one message finds out whether it is over.
 */
export type Throttle = {
  state: "open" | "slowed" | "suspended" | "probing";
  /** End of the pause, or of the probe's time. */
  untilMs: number;
  why: string;
  /** Absent: no rate is known to be needed. */
  ratePerMin: number | undefined;
  /** The part of rate and connections that is this process's, from 0 to 1: others send to the site too. */
  share: number;
  /** Tokens that are saved up at most, as seconds of its rate. */
  burstS: number;
  tokens: number;
  tokensAtMs: number;
  connections: number;
  /** Outcomes in a row. */
  successes: number;
  strikes: number;
  failures: number;
  /** Pauses that followed each other: each is twice as long as the one before. */
  pauses: number;
  slowedAtMs: number;
  troubleAtMs: number;
  raisedAtMs: number;
  takenAtMs: number;
  /** An operator ended the pause: what was learned before says no more that the site is to be left alone. */
  askedAtMs: number;
  delivered: Minute;
  deferred: Minute;
};

/** Successes after which the rate goes up. */
const streak = 20;
/** The same for one more connection. */
const connectionStreak = 10;
/** Parallel sessions hear of the same limit at the same time: within this time it counts once. */
const slowedGapMs = 10_000;
/** A rate that went up shows whether it is too high only after some time. */
const raisedGapMs = 10_000;
/** So many strikes in a row, with nothing taken between them, suspend the site. */
const strikesMax = 3;
/** A site that took mail a moment ago may drop a connection or two. */
const recentMs = 60_000;
const failuresRecentMax = 3;
const pauseMsMax = 1_800_000;
const awayPauseMsMax = 600_000;
const jitter = 0.15;
/** How the pauses of a site are made: the first one, and what spreads them. `random` gives numbers from 0 up to 1. */
export type Pauses = { firstMs: number; random: () => number };

/** A probe that nobody told the outcome of: the service lost it. Longer than a message takes at a slow server. */
const probeMsMax = 900_000;
/** While a probe is under way, others ask again after this time: it may have ended well. */
const probeLookMs = 5_000;
/** The same while other processes have the whole limit. */
const shareLookMs = 500;
/** A share that is smaller tells too little of the whole. */
const shareMin = 0.05;
/** After this time without trouble a site is given the start of its profile again. */
const forgiveMs = 3_600_000;
/** A learned rate this high limits nothing any more. */
const learnedPerMinMax = 6_000;
/** A rate is raised when at least this part of it was used: an unused limit proves nothing. */
const usedShareMin = 0.5;
const slowStartConnections = 2;

/** A site that nothing is known of: open, at the start of its profile. */
export function newThrottle(profile: Profile, nowMs: number): Throttle {
  const ratePerMin = profile.rate?.startPerMin;
  return {
    state: "open",
    untilMs: 0,
    why: "",
    ratePerMin,
    share: 1,
    burstS: profile.burstS,
    tokens: burstOf(ratePerMin, profile.burstS),
    tokensAtMs: nowMs,
    connections: profile.connectionsMax,
    successes: 0,
    strikes: 0,
    failures: 0,
    pauses: 0,
    slowedAtMs: Number.NEGATIVE_INFINITY,
    troubleAtMs: Number.NEGATIVE_INFINITY,
    raisedAtMs: Number.NEGATIVE_INFINITY,
    takenAtMs: Number.NEGATIVE_INFINITY,
    askedAtMs: Number.NEGATIVE_INFINITY,
    delivered: newMinute(),
    deferred: newMinute(),
  };
}

/** The most messages that go at once after a quiet time. */
export const burstOf = (ratePerMin: number | undefined, burstS: number) =>
  ratePerMin === undefined ? 0 : Math.max(1, Math.floor((ratePerMin / 60) * burstS));

/** Sets the part that is this process's; what was saved up at the old rate stays within the burst of the new one. Changes the throttle. */
export function setShare(throttle: Throttle, share: number, nowMs: number): void {
  if (share === throttle.share) return;
  refill(throttle, nowMs);
  throttle.share = share;
  throttle.tokens = Math.min(throttle.tokens, burstOf(ownRateOf(throttle), throttle.burstS));
}

/** Takes one token, or tells when there is one and why there is none now; `isProbe` finds out whether a pause is over. Changes the throttle. */
export function takeToken(throttle: Throttle, profile: Profile, nowMs: number, mayProbe: boolean): Leave {
  if (isLeftAlone(throttle)) {
    const pause = pauseOf(throttle, nowMs, mayProbe);
    if (pause !== undefined) return pause;
    throttle.state = "probing";
    throttle.untilMs = nowMs + probeMsMax;
    return { kind: "go", isProbe: true };
  }
  forgive(throttle, profile, nowMs);
  if (throttle.ratePerMin === undefined) return { kind: "go" };
  refill(throttle, nowMs);
  if (throttle.tokens >= 1) {
    throttle.tokens -= 1;
    return { kind: "go" };
  }
  const ratePerMin = throttle.ratePerMin * throttle.share;
  if (ratePerMin === 0)
    return { kind: "wait", untilMs: nowMs + shareLookMs, why: phrase("rate.others-have", {}) };
  const untilMs = Math.ceil(throttle.tokensAtMs + ((1 - throttle.tokens) * 60_000) / ratePerMin);
  const { set } = profile;
  return {
    kind: "wait",
    untilMs: Math.max(untilMs, nowMs + 1),
    why: rateWords(ratePerMin, throttle.why, set?.limit.ratePerMin === undefined ? undefined : set.said),
  };
}

/** Nothing goes there but one message at a time that asks whether the trouble is over. */
export const isLeftAlone = ({ state }: Pick<Throttle, "state">): boolean =>
  state === "suspended" || state === "probing";

/**
 * Why nothing may go now and until when, while the site is left alone, or one message asks it. Whoever of the processes has the
 * one connection to such a site asks for all: `mayProbe` says that it is this one.
 */
export function pauseOf(throttle: Throttle, nowMs: number, mayProbe: boolean): Wait | undefined {
  const { state, untilMs, why } = throttle;
  if (!isLeftAlone(throttle)) return undefined;
  const pause = (until: number, said: string): Wait => ({
    kind: "wait",
    untilMs: until,
    why: said,
    isPause: true,
  });
  if (nowMs >= untilMs)
    return mayProbe ? undefined : pause(nowMs + shareLookMs, phrase("rate.other-asks", { why }));
  if (state === "suspended") return pause(untilMs, why);
  return pause(Math.min(untilMs, nowMs + probeLookMs), phrase("rate.asks", { why }));
}
type Wait = Extract<Leave, { kind: "wait" }>;

/** The message that took a token was not tried after all. */
export function giveBack(throttle: Throttle, nowMs: number): void {
  if (throttle.state === "probing") {
    throttle.state = "suspended";
    throttle.untilMs = nowMs;
  } else throttle.tokens = Math.min(throttle.tokens + 1, burstOf(ownRateOf(throttle), throttle.burstS));
}

/** What one outcome told. `askedMs` is the wait that the receiver named; `said` is its reply or our words, for the operator. */
type Seen = { sign: Sign; said: string; askedMs?: number | undefined };

/** Learns from one outcome. Changes the throttle. */
export function learn(
  throttle: Throttle,
  profile: Profile,
  seen: Seen & { outcome: "delivered" | "deferred" | "bounced" },
  nowMs: number,
  pauses: Pauses,
): void {
  if (seen.outcome === "deferred") countOne(throttle.deferred, nowMs);
  switch (seen.sign) {
    case "taken":
      countOne(throttle.delivered, nowMs);
      throttle.takenAtMs = nowMs;
      throttle.strikes = 0;
      reopen(throttle, nowMs);
      grow(throttle, profile, nowMs);
      break;
    case "alive":
      reopen(throttle, nowMs);
      break;
    case "away":
    case "much":
    case "busy":
      throttle.successes = 0;
      // Who asks has made it probing: sessions that began before the pause tell nothing new, also when it is over and nobody has asked yet.
      if (throttle.state === "suspended") return;
      if (seen.sign === "away") missed(throttle, seen, nowMs, pauses);
      else struck(throttle, profile, seen, nowMs, pauses);
      break;
    case "none":
      // A probe that asked nobody leaves its turn to the next message.
      if (throttle.state === "probing") giveBack(throttle, nowMs);
      break;
  }
}

/** Nobody spoke with us. One such connection proves nothing at a site that took mail a moment ago. */
function missed(throttle: Throttle, seen: Seen, nowMs: number, pauses: Pauses): void {
  throttle.failures += 1;
  const isSure = throttle.failures >= failuresRecentMax || nowMs - throttle.takenAtMs > recentMs;
  if (throttle.state === "probing" || isSure) pause(throttle, awayPauseMsMax, seen, nowMs, pauses);
}

/** A server in trouble may be well again any minute; one that refuses us wants time. */
const pauseMaxOf = ({ sign }: Seen) => (sign === "busy" ? awayPauseMsMax : pauseMsMax);

/** It wants less, or is in trouble. */
function struck(throttle: Throttle, profile: Profile, seen: Seen, nowMs: number, pauses: Pauses): void {
  throttle.failures = 0;
  if (throttle.state === "probing") {
    pause(throttle, pauseMaxOf(seen), seen, nowMs, pauses);
    return;
  }
  if (nowMs - throttle.slowedAtMs < slowedGapMs) return;
  throttle.strikes += 1;
  throttle.slowedAtMs = nowMs;
  // A server in trouble of its own is no judgement on us: only when it stays so, and takes nothing, it is left alone.
  if (seen.sign === "much" && !profile.isOwn) slow(throttle, profile, seen.said, nowMs);
  if (throttle.strikes >= strikesMax) pause(throttle, pauseMaxOf(seen), seen, nowMs, pauses);
}

/** Leaves the site alone until `untilMs`, as a rule or an operator wants it. */
export function suspend(throttle: Throttle, untilMs: number, why: string, nowMs: number): void {
  throttle.untilMs = throttle.state === "suspended" ? Math.max(throttle.untilMs, untilMs) : untilMs;
  throttle.state = "suspended";
  throttle.why = why;
  throttle.troubleAtMs = nowMs;
  throttle.connections = 1;
}

/**
 * What another process learned of the site. It is left alone here, too, unless it took mail from us since; and where it speaks again with
 * that one, nobody here has to ask. What it learned before an operator had the site asked is over. Changes the throttle, and tells
 * whether it did.
 */
export function hearOf(
  throttle: Throttle,
  { state, untilMs = 0, why = "", pauses, troubleAtMs, savedAtMs }: SiteRecord,
  nowMs: number,
): boolean {
  if (throttle.state === "probing") return false;
  if (state === "suspended") {
    const isNews = untilMs > nowMs && (throttle.state !== "suspended" || untilMs > throttle.untilMs);
    if (!isNews || Math.max(throttle.takenAtMs, throttle.askedAtMs) >= troubleAtMs) return false;
    suspend(throttle, untilMs, why, troubleAtMs);
    throttle.pauses = Math.max(throttle.pauses, pauses);
    return true;
  }
  if (throttle.state !== "suspended" || savedAtMs <= throttle.troubleAtMs) return false;
  throttle.untilMs = Math.min(throttle.untilMs, nowMs);
  reopen(throttle, nowMs);
  return true;
}

/** Ends a pause, so that the next message asks; tells whether there was one. What was learned stays. */
export function askNext(throttle: Throttle, nowMs: number): boolean {
  throttle.askedAtMs = nowMs;
  if (throttle.state !== "suspended" || throttle.untilMs <= nowMs) return false;
  throttle.untilMs = nowMs;
  return true;
}

/** Lowers the rate and the connections once. */
export function slow(throttle: Throttle, profile: Profile, why: string, nowMs: number): void {
  throttle.connections = Math.max(1, Math.floor(throttle.connections / 2));
  throttle.slowedAtMs = nowMs;
  throttle.troubleAtMs = nowMs;
  throttle.why = why;
  if (throttle.state === "open") throttle.state = "slowed";
  if (profile.isOwn) return;
  refill(throttle, nowMs);
  if (throttle.ratePerMin === undefined) [throttle.tokens, throttle.tokensAtMs] = [0, nowMs];
  // What this process delivered is its part of what the site took.
  const rate = throttle.ratePerMin ?? countOf(throttle.delivered, nowMs) / Math.max(throttle.share, shareMin);
  throttle.ratePerMin = Math.max(profile.floorPerMin, rate * profile.backoff);
  throttle.tokens = Math.min(throttle.tokens, burstOf(ownRateOf(throttle), throttle.burstS));
}

/**
 * An operator's limits begin, end, or are others. What they name is so from now on; of the rest a site without trouble in the last
 * hour begins anew, and one with trouble goes on from what was learned. A pause goes on. Changes the throttle.
 */
export function refit(
  throttle: Throttle,
  { rate, burstS, connectionsMax, set }: Profile,
  nowMs: number,
): void {
  refill(throttle, nowMs);
  const isWell = nowMs - throttle.troubleAtMs >= forgiveMs;
  const { ratePerMin, connections } = throttle;
  const isRateSet = set?.limit.ratePerMin !== undefined;
  throttle.ratePerMin =
    isWell || isRateSet || ratePerMin === undefined
      ? rate?.startPerMin
      : Math.min(ratePerMin, rate?.ceilingPerMin ?? ratePerMin);
  throttle.burstS = burstS;
  if (ratePerMin === undefined) [throttle.tokens, throttle.tokensAtMs] = [1, nowMs];
  throttle.tokens = Math.min(throttle.tokens, burstOf(ownRateOf(throttle), burstS));
  if (isLeftAlone(throttle)) return;
  const isBegunAnew = isWell || set?.limit.connectionsMax !== undefined;
  throttle.connections = isBegunAnew ? connectionsMax : Math.min(connections, connectionsMax);
  throttle.state = isWell ? "open" : "slowed";
  if (isWell) throttle.why = "";
}

function pause(
  throttle: Throttle,
  msMax: number,
  { said, askedMs = 0 }: Seen,
  nowMs: number,
  pauses: Pauses,
): void {
  throttle.pauses += 1;
  const doubled = Math.min(pauses.firstMs * 2 ** Math.min(throttle.pauses - 1, 20), msMax);
  const spread = Math.min(doubled * (1 - jitter + 2 * jitter * pauses.random()), msMax);
  throttle.state = "suspended";
  throttle.untilMs = Math.round(nowMs + Math.max(spread, Math.min(askedMs, pauseMsMax)));
  throttle.why = said;
  throttle.troubleAtMs = nowMs;
  throttle.strikes = 0;
  throttle.failures = 0;
  throttle.connections = 1;
}

/** The site speaks again: it is met with few connections at first. */
function reopen(throttle: Throttle, nowMs: number): void {
  throttle.failures = 0;
  const isPaused = throttle.state === "suspended" && nowMs < throttle.untilMs;
  if (throttle.state !== "probing" && (throttle.state !== "suspended" || isPaused)) return;
  throttle.state = "slowed";
  throttle.untilMs = 0;
  throttle.pauses = Math.max(0, throttle.pauses - 2);
  throttle.connections = slowStartConnections;
  throttle.tokens = 0;
  throttle.tokensAtMs = nowMs;
}

function grow(throttle: Throttle, profile: Profile, nowMs: number): void {
  throttle.successes += 1;
  if (throttle.successes % connectionStreak === 0)
    throttle.connections = Math.min(throttle.connections + 1, profile.connectionsMax);
  if (throttle.successes >= streak) {
    throttle.pauses = 0;
    if (throttle.ratePerMin !== undefined && nowMs - throttle.raisedAtMs >= raisedGapMs)
      raise(throttle, profile, nowMs);
  }
  if (throttle.state === "slowed" && isFull(throttle, profile)) {
    throttle.state = "open";
    throttle.why = "";
  }
}

function raise(throttle: Throttle, profile: Profile, nowMs: number): void {
  const rate = throttle.ratePerMin ?? 0;
  if (countOf(throttle.delivered, nowMs) < rate * throttle.share * usedShareMin) return;
  throttle.successes = 0;
  throttle.raisedAtMs = nowMs;
  refill(throttle, nowMs);
  const raised = rate * profile.recovery;
  if (profile.rate !== undefined) throttle.ratePerMin = Math.min(raised, profile.rate.ceilingPerMin);
  else throttle.ratePerMin = raised >= learnedPerMinMax ? undefined : raised;
}

/** A site that was in trouble an hour ago and takes little mail would else stay slow for ever. */
function forgive(throttle: Throttle, profile: Profile, nowMs: number): void {
  if (throttle.state !== "slowed" || nowMs - throttle.troubleAtMs < forgiveMs) return;
  const start = profile.rate?.startPerMin;
  if (start === undefined || (throttle.ratePerMin ?? 0) < start) throttle.ratePerMin = start;
  throttle.connections = profile.connectionsMax;
  throttle.state = "open";
  throttle.why = "";
}

const isFull = ({ ratePerMin, connections }: Throttle, { rate, connectionsMax }: Profile) =>
  connections >= connectionsMax &&
  (ratePerMin === undefined || ratePerMin >= (rate?.startPerMin ?? Number.POSITIVE_INFINITY));

function refill(throttle: Throttle, nowMs: number): void {
  const ratePerMin = ownRateOf(throttle);
  const elapsedMs = Math.max(0, nowMs - throttle.tokensAtMs);
  if (ratePerMin === undefined) return;
  throttle.tokens = Math.min(
    burstOf(ratePerMin, throttle.burstS),
    throttle.tokens + (elapsedMs * ratePerMin) / 60_000,
  );
  throttle.tokensAtMs = nowMs;
}

/** The part of the rate that is this process's. */
const ownRateOf = ({ ratePerMin, share }: Throttle) =>
  ratePerMin === undefined ? undefined : ratePerMin * share;

/** `said`: who set the rate, where an operator did. */
function rateWords(perMin: number, why: string, said: string | undefined): string {
  const [unit, count] = perMin >= 600 ? (["second", perMin / 60] as const) : (["minute", perMin] as const);
  const most = { count: Math.round(count), why };
  if (said === undefined && why !== "") return phrase(`rate.${unit}-since`, most);
  const parts = [phrase(`rate.${unit}`, most), said, why === "" ? undefined : phrase("rate.since", { why })];
  return parts.filter((part) => part !== undefined).join(", ");
}
