import { phrase, type Reply, reasons, type SiteRecord, shortened } from "@tyto/contracts";
import type { Observation } from "../observation.ts";
import { countOf } from "./minute.ts";
import type { Profile } from "./profiles.ts";
import { burstOf, newThrottle, refit, type Throttle } from "./throttle.ts";

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

/** What is known of one site from one of our addresses. */
export type Row = {
  key: SiteKey;
  provider: string | undefined;
  throttle: Throttle;
  /** Limits of an operator that the throttle goes by, by their id. */
  setId: string | undefined;
  replies: { atMs: number; code: number; text: string }[];
  /** What of it is stored, to know what changed. */
  stored: string;
};

const repliesMax = 5;
const replyCharsMax = 200;
/** What rules say is as long. */
const whyCharsMax = 300;

export const newRow = (key: SiteKey, provider: string | undefined, profile: Profile, nowMs: number): Row => ({
  key,
  provider,
  throttle: newThrottle(profile, nowMs),
  setId: profile.set?.id,
  replies: [],
  stored: "",
});

/** Takes over what an operator set, or that it is over, since the row was asked for last; tells whether there was anything. */
export function fit(row: Row, profile: Profile, nowMs: number): boolean {
  if (row.setId === profile.set?.id) return false;
  row.setId = profile.set?.id;
  refit(row.throttle, profile, nowMs);
  return true;
}

/** Keeps the last replies. */
export function keep(row: Row, atMs: number, reply: Reply | undefined): void {
  if (reply === undefined) return;
  row.replies.push({ atMs, code: reply.code, text: reply.text.slice(0, replyCharsMax) });
  if (row.replies.length > repliesMax) row.replies.shift();
}

/** What the operator reads as the reason of a pause: the receiver's own words, where there are any. */
export function saidBy({ reply, reason }: Pick<Observation, "reply" | "reason">): string {
  const say = reason === undefined ? "" : reasons[reason].say;
  if (reply === undefined) return say;
  const text = shortened(reply.text.replaceAll(/\s+/g, " "), whyCharsMax - 60);
  return phrase("answered", { say, code: `${reply.code}`, reply: text });
}

/** A row as operators see it. */
export function statusOf(
  { key, provider, throttle, replies }: Row,
  profile: Profile,
  nowMs: number,
): SiteStatus {
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
export function recordOf(
  { key, provider, throttle }: Row,
  profile: Profile,
  nowMs: number,
): SiteRecord | undefined {
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

/** Takes over what an earlier process knew of the site. */
export function takeOver({ throttle }: Row, record: SiteRecord, profile: Profile): void {
  const { rate, floorPerMin, connectionsMax } = profile;
  throttle.state = record.state;
  throttle.untilMs = record.untilMs ?? 0;
  throttle.why = record.why ?? "";
  throttle.pauses = record.pauses;
  throttle.connections = Math.min(record.connections, connectionsMax);
  const learned = record.ratePerMin === undefined ? undefined : Math.max(record.ratePerMin, floorPerMin);
  // What an operator set since goes before what was learned under other bounds.
  throttle.ratePerMin =
    rate === undefined ? learned : Math.min(learned ?? rate.startPerMin, rate.ceilingPerMin);
  throttle.tokens = Math.min(throttle.tokens, burstOf(throttle.ratePerMin, throttle.burstS));
  throttle.troubleAtMs = record.troubleAtMs;
}

/** An operator's or a rule's words, short enough to be stored. */
export const storable = (why: string) => shortened(why, whyCharsMax);
