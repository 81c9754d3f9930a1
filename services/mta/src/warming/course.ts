/**
 * The course of one address's warming: pure steps from record to record. A day's cap comes from the schedule; what was
 * taken of it, and what came of that, stands in the record, which all processes share.
 */
import { heardMax, type ProviderWarmth, phrase, type Traffic, type WarmingRecord } from "@tyto/contracts";
import type { Report } from "../feedback.ts";
import { bulkMaxOf, capOf, usedOf } from "./cap.ts";
import {
  answersOf,
  fading,
  faultOf,
  isHaltDue,
  isOver,
  judgedMin,
  limits,
  type Outcomes,
  pauseComplaintsMin,
  ratesOf,
  ratesOfAll,
  recentOf,
  slowedJudgedMin,
} from "./rates.ts";
import { dateOf, daysBetween, lastDay, leapFrom, midnightAfter } from "./schedule.ts";
import { slowedSince } from "./sentence.ts";
import { dayOf, labelOf, percent } from "./words.ts";

const paceMin = 0.05;

/** A pause for complaints lasts to the end of the next day. */
const pauseDays = 1;
const graduateBounced = 0.02;

/**
 * A day counts when at least this part of its cap was used, or so many messages that providers know the address by them; it
 * may count for more when nearly all was used that bulk mail could have.
 */
const usedMin = 0.05;
const usedEnough = 1_000;
const usedFully = 0.8;
/** What becomes of the place in the schedule after a bad day, and after a halt. */
const setback = 0.7;
const afterHalt = 0.5;
/** What becomes of a provider's pace after trouble; and from the second day without trouble on, each day. */
const slowdown = 0.5;
const cleanDaysMin = 2;
const recovery = 1.5;
/** The first halt lasts to the end of the next day, each further one twice as long. */
const haltDaysMax = 8;

const dayMs = 86_400_000;
/** The beginning of an address's warming. `since` is its first day, which may lie in the past. */
export function begin(egress: string, since: string, nowMs: number): WarmingRecord {
  const date = dateOf(nowMs);
  const day = Math.max(1, daysBetween(since, date) + 1);
  return {
    egress,
    since,
    date,
    day: Math.min(day, lastDay),
    phase: day >= lastDay ? "warm" : "warming",
    halts: 0,
    taken: { transactional: 0, bulk: 0 },
    transactionalBefore: 0,
    providers: {},
  };
}

/** Takes `count` messages out of the day, or gives them back when it is negative. */
export function take(
  record: WarmingRecord,
  provider: string,
  traffic: Traffic,
  count: number,
): WarmingRecord {
  const known = record.providers[provider] ?? unknown;
  return {
    ...record,
    taken: { ...record.taken, [traffic]: Math.max(0, record.taken[traffic] + count) },
    providers: { ...record.providers, [provider]: { ...known, taken: Math.max(0, known.taken + count) } },
  };
}

const unknown: ProviderWarmth = {
  ...{ taken: 0, delivered: 0, deferred: 0, bounced: 0 },
  ...{ pace: 1, share: 1, cleanDays: 0 },
};

/** Adds what came of messages, and acts at once where it is very bad: a provider gets half, or all bulk mail stops. */
export function learn(
  record: WarmingRecord,
  outcomes: ReadonlyMap<string, Outcomes>,
  nowMs: number,
): WarmingRecord {
  let next = record;
  for (const [name, { delivered, deferred, bounced }] of outcomes)
    next = withProvider(next, name, nowMs, (known) => ({
      ...known,
      delivered: known.delivered + delivered,
      deferred: known.deferred + deferred,
      bounced: known.bounced + bounced,
      recent: { ...recentOf(known), delivered: recentOf(known).delivered + delivered },
    }));
  return next.phase === "warming" && isHaltDue(next) ? halted(next, nowMs) : next;
}

/** What a report told of mail to a provider. */
export type Told = Pick<Report, "id" | "kind"> & { provider: string };

/** The same for what came back later. A report that the record has heard already changes nothing. */
export function hear(record: WarmingRecord, reports: readonly Told[], nowMs: number): WarmingRecord {
  let next = record;
  for (const { id, provider, kind } of reports) {
    const heard = next.heard ?? [];
    if (heard.includes(id)) continue;
    next = withProvider({ ...next, heard: [...heard, id].slice(-heardMax) }, provider, nowMs, (known) => ({
      ...known,
      recent: { ...recentOf(known), [kind]: recentOf(known)[kind] + 1 },
    }));
  }
  return next.phase === "warming" && isHaltDue(next) ? halted(next, nowMs) : next;
}

/** Changes one provider, and slows or pauses it where that makes it very bad. */
function withProvider(
  record: WarmingRecord,
  name: string,
  nowMs: number,
  change: (known: ProviderWarmth) => ProviderWarmth,
): WarmingRecord {
  const next = change(record.providers[name] ?? unknown);
  return { ...record, providers: { ...record.providers, [name]: atOnce(record, name, next, nowMs) } };
}

function atOnce(record: WarmingRecord, name: string, next: ProviderWarmth, nowMs: number): ProviderWarmth {
  if (record.phase === "warm") return next;
  const rates = ratesOf(next);
  const isPauseDue =
    (next.pausedUntil ?? 0) <= nowMs &&
    recentOf(next).complained >= pauseComplaintsMin &&
    rates.complained > limits.halt.complained;
  if (isPauseDue) return paused(name, next, shareOf(record, next), nowMs);
  const isBad = answersOf(next) >= judgedMin && isOver(rates, limits.halt);
  const isComplaining = rates.complained > limits.slow.complained;
  return (isBad || isComplaining) && !hadTrouble(next, record.date)
    ? slowed(name, next, shareOf(record, next), nowMs)
    : next;
}

/** The record on the day of `nowMs`. The day before is judged by whoever comes first after midnight UTC. */
export function onDayOf(record: WarmingRecord, nowMs: number): WarmingRecord {
  const date = dateOf(nowMs);
  if (record.date >= date) return record;
  const judged = judge(record, nowMs);
  return {
    ...judged,
    date,
    transactionalBefore: record.taken.transactional,
    taken: { transactional: 0, bulk: 0 },
    providers: Object.fromEntries(
      Object.entries(judged.providers).map(([name, provider]) => [
        name,
        {
          ...afterPause(provider, nowMs),
          ...{ taken: 0, delivered: 0, deferred: 0, bounced: 0, recent: fading(provider) },
        },
      ]),
    ),
  };
}

function judge(record: WarmingRecord, nowMs: number): WarmingRecord {
  if (record.phase === "warm") return record;
  const endMs = midnightAfter(Date.parse(record.date)) - 1;
  const providers = Object.fromEntries(
    Object.entries(record.providers).map(([name, provider]) => [
      name,
      judgeProvider(record, name, provider, endMs),
    ]),
  );
  const next = { ...record, providers };
  if (record.phase === "halted") return (record.untilAt ?? 0) > nowMs ? next : resumed(next);
  const used = usedOf(record);
  if (used === 0) return next;
  if (isHaltDue(next)) return halted(next, endMs);

  const rates = ratesOfAll(next);
  const cap = capOf(record);
  if (rates.answers >= slowedJudgedMin && isOver(rates, limits.slow))
    return {
      ...next,
      day: Math.max(1, Math.floor(record.day * setback)),
      why: phrase("warming.set-back", { day: record.day, fault: faultOf(rates, limits.slow) }),
    };
  if (used < Math.min(usedEnough, usedMin * cap))
    return {
      ...next,
      why: phrase("warming.unused", { used, cap }),
    };

  const open = bulkMaxOf(record, endMs) + record.taken.transactional;
  const areContent = Object.values(providers).every(({ pace }) => pace >= 1);
  const isFine = areContent && !isOver(rates, limits.fine) && used >= usedFully * open;
  const day = isFine ? leapFrom(record.day) : record.day + 1;
  if (day < lastDay)
    return {
      ...next,
      day,
      why: day > record.day + 1 ? phrase("warming.quicker", { day: record.day }) : undefined,
    };
  if (rates.bounced < graduateBounced) return { ...next, day: lastDay, phase: "warm", why: undefined };
  return {
    ...next,
    day: lastDay - 1,
    why: phrase("warming.not-yet", {
      fault: phrase("fault.of-all.bounced", { share: percent(rates.bounced) }),
    }),
  };
}

function judgeProvider(
  record: WarmingRecord,
  name: string,
  provider: ProviderWarmth,
  nowMs: number,
): ProviderWarmth {
  const share = shareOf(record, provider);
  const isSlowed = provider.pace < 1;
  if (answersOf(provider) < (isSlowed ? slowedJudgedMin : judgedMin)) return provider;
  if (isOver(ratesOf(provider), limits.slow))
    return hadTrouble(provider, record.date) ? provider : slowed(name, provider, share, nowMs);
  if (!isSlowed) return { ...provider, share };
  const cleanDays = provider.cleanDays + 1;
  const pace = cleanDays < cleanDaysMin ? provider.pace : Math.min(1, provider.pace * recovery);
  if (pace < 1) return { ...provider, cleanDays, pace };
  const { troubleAt: _, why: __, pausedUntil: ___, ...content } = provider;
  return { ...content, pace, cleanDays: 0 };
}

const hadTrouble = ({ troubleAt }: ProviderWarmth, date: string) =>
  troubleAt !== undefined && dateOf(troubleAt) === date;

/** A provider's part of the address's mail: of this day, and of those before. A slowed one's is what it was. */
function shareOf(record: WarmingRecord, { pace, share, taken }: ProviderWarmth): number {
  const used = usedOf(record);
  if (pace < 1 || used < judgedMin) return share;
  const now = Math.min(1, taken / used);
  return share === 1 ? now : (share + now) / 2;
}

function slowed(name: string, provider: ProviderWarmth, share: number, nowMs: number): ProviderWarmth {
  return {
    ...provider,
    share,
    pace: Math.max(paceMin, provider.pace * slowdown),
    cleanDays: 0,
    troubleAt: nowMs,
    why: `${slowedSince}${labelOf(name)} ${faultOf(ratesOf(provider), limits.slow, true)}`,
  };
}

/** Its users complain: bulk mail to it stops for a day, then it gets half, as after any other trouble. */
function paused(name: string, provider: ProviderWarmth, share: number, nowMs: number): ProviderWarmth {
  const pausedUntil = midnightAfter(nowMs) + pauseDays * dayMs;
  const next = hadTrouble(provider, dateOf(nowMs)) ? provider : slowed(name, provider, share, nowMs);
  const fault = faultOf(ratesOf(provider), limits.slow, true);
  return {
    ...next,
    pausedUntil,
    why: phrase("warming.paused", { date: dayOf(pausedUntil), fault: `${labelOf(name)} ${fault}` }),
  };
}

/** A pause that is over leaves a provider that is slowed. Pauses end at midnight UTC. */
function afterPause(provider: ProviderWarmth, nowMs: number): ProviderWarmth {
  const { pausedUntil, ...rest } = provider;
  if (pausedUntil === undefined || pausedUntil > nowMs) return provider;
  return { ...rest, why: rest.why?.replace(/^paused until .* because /, slowedSince) };
}

function halted(record: WarmingRecord, nowMs: number): WarmingRecord {
  const untilAt = midnightAfter(nowMs) + Math.min(2 ** record.halts, haltDaysMax) * dayMs;
  const rates = ratesOfAll(record);
  return {
    ...record,
    phase: "halted",
    halts: record.halts + 1,
    untilAt,
    why: phrase("warming.halted", { date: dayOf(untilAt), fault: faultOf(rates, limits.halt) }),
  };
}

function resumed(record: WarmingRecord): WarmingRecord {
  const day = Math.max(1, Math.floor(record.day * afterHalt));
  const { untilAt: _, ...rest } = record;
  return { ...rest, phase: "warming", day, why: phrase("warming.set-back-halt", { day: record.day }) };
}
