/**
 * The course of one address's warming: pure steps from record to record. A day's cap comes from the schedule; what was
 * taken of it, and what came of that, stands in the record, which all processes share.
 */
import { heardMax, type ProviderWarmth, phrase, type WarmingRecord } from "@tyto/contracts";
import type { Report } from "../feedback.ts";
import { capOfDay, dateOf, daysBetween, lastDay, leapFrom, midnightAfter, partOfDay } from "./schedule.ts";
import { dayOf, labelOf, listed, percent } from "./words.ts";

export type Traffic = "transactional" | "bulk";

/** Part of a day's cap that bulk mail never takes. */
const reserve = 0.2;
/** As much more than on the day before is kept free for transactional mail. */
const reserveGrowth = 1.25;
/** Bulk mail is released over the day: this part at its beginning, all of it at its end, and the first ones at once. */
const releasedFirst = 0.1;
const unpacedMax = 100;
/** What a slowed provider may get at least in a day: with less there is nothing to learn from. */
const providerMin = 20;
const paceMin = 0.05;

/** So few bounces or deferrals are an accident, whatever part they are. */
const faultsMin = 5;
/** An address, or a provider, is judged from this many answers on; a slowed provider, which gets little, from fewer. */
const judgedMin = 50;
const slowedJudgedMin = 15;
type Limit = { bounced: number; deferred: number; complained: number };
/**
 * Better than `fine`, and a day may be skipped; worse than `slow`, and it goes slower; worse than `halt`, and bulk mail stops:
 * all of the address's for bounces and deferrals, that to the provider for its users' complaints. Gmail and Yahoo ask for less
 * than 0.1 % complaints and treat senders with 0.3 % as spammers.
 */
const limits = {
  fine: { bounced: 0.01, deferred: 0.05, complained: 0.001 },
  slow: { bounced: 0.03, deferred: 0.1, complained: 0.002 },
  halt: { bounced: 0.08, deferred: 0.25, complained: 0.003 },
} as const satisfies Record<string, Limit>;
/**
 * Fewer complaints are an accident, and fewer than the second number no reason to pause: of 900 messages from a sender with
 * 0.1 % one in sixteen gets three complaints, and one in four hundred five.
 */
const complaintsMin = 3;
const pauseComplaintsMin = 5;
/** What becomes each day of what was counted before it: complaints come days after the mail they are about. */
const memory = 0.5;
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
const releaseMs = { min: 60_000, max: 900_000 } as const;
/** Who waits for the next day asks again this often: an address may become free, or a person change something. */
const askMsMax = 3_600_000;

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

/** Messages of one day; a halted address sends a little transactional mail. */
export const capOf = ({ day, phase }: WarmingRecord): number =>
  phase === "halted" ? Math.floor(capOfDay(day) * reserve) : capOfDay(day);
export const usedOf = ({ taken }: WarmingRecord): number => taken.transactional + taken.bulk;

/** Bulk messages of one day: the cap without a fifth, or without what transactional mail took and will still need. */
export function bulkMaxOf(record: WarmingRecord, nowMs: number): number {
  if (record.phase === "halted") return 0;
  const expected = reserveGrowth * record.transactionalBefore * (1 - partOfDay(nowMs));
  const kept = Math.max(reserve * capOf(record), record.taken.transactional + expected);
  return Math.max(0, Math.floor(capOf(record) - kept));
}

/** Bulk messages that the day has released by now, so that providers get them over the day and not all at midnight. */
function released(record: WarmingRecord, nowMs: number): number {
  const max = bulkMaxOf(record, nowMs);
  const open = releasedFirst + (1 - releasedFirst) * partOfDay(nowMs);
  return Math.min(max, Math.max(unpacedMax, Math.floor(max * open)));
}

/** What a provider may get today: a slowed one its pace, of its usual share, of the cap. */
export function providerMaxOf(record: WarmingRecord, provider: ProviderWarmth | undefined): number {
  if (provider === undefined || provider.pace >= 1) return Number.POSITIVE_INFINITY;
  return Math.max(providerMin, Math.floor(provider.pace * provider.share * capOfDay(record.day)));
}

/** What may be taken: up to `count` messages, or none before a time, and why, in words for people. */
export type Room =
  | { kind: "room"; count: number }
  /** `isFull`: the whole cap is used, by whatever mail. */
  | { kind: "wait"; untilMs: number; why: string; isFull?: true };

/** Is there room for this kind of mail to this provider: under the cap, in what the day has released, in the provider's part? */
export function roomFor(record: WarmingRecord, provider: string, traffic: Traffic, nowMs: number): Room {
  if (record.phase === "warm") return { kind: "room", count: Number.POSITIVE_INFINITY };
  const soonMs = Math.min(midnightAfter(nowMs), nowMs + askMsMax);
  const wait = (why: string, untilMs = soonMs) => ({
    kind: "wait" as const,
    untilMs,
    why: why === "" ? sentenceOf(record) : `${placeOf(record)}: ${why}`,
  });
  if (record.phase === "halted" && traffic === "bulk") return wait("");

  const total = capOf(record) - usedOf(record);
  if (total <= 0) return { ...wait(phrase("warming.midnight", {})), isFull: true } as const;
  const known = record.providers[provider];
  const ofProvider = providerMaxOf(record, known) - (known?.taken ?? 0);
  if (ofProvider <= 0)
    return wait(
      [
        phrase("warming.provider-had", { provider: labelOf(provider), cap: providerMaxOf(record, known) }),
        known?.why ?? phrase("warming.is-slowed", {}),
      ].join(", "),
    );
  if (traffic === "transactional") return { kind: "room", count: Math.min(total, ofProvider) };
  if ((known?.pausedUntil ?? 0) > nowMs)
    return wait(`${phrase("warming.no-bulk", { provider: labelOf(provider) })}, ${known?.why ?? ""}`);
  const bulkOfProvider = Math.floor((1 - reserve) * providerMaxOf(record, known)) - (known?.taken ?? 0);
  if (bulkOfProvider <= 0) return wait(phrase("warming.reserve-provider", { provider: labelOf(provider) }));

  const max = bulkMaxOf(record, nowMs);
  const out = released(record, nowMs);
  if (record.taken.bulk < out)
    return { kind: "room", count: Math.min(total, bulkOfProvider, out - record.taken.bulk) };
  if (record.taken.bulk >= max) return wait(phrase("warming.reserve", {}));
  return wait(
    phrase("warming.spread", { out, max }),
    Math.min(midnightAfter(nowMs), nowMs + releaseWaitMs(max)),
  );
}

/** The time in which a fiftieth of the day's bulk mail is released. */
const releaseWaitMs = (max: number) =>
  Math.min(releaseMs.max, Math.max(releaseMs.min, (Math.max(1, max / 50) / max) * dayMs));

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

export type Outcomes = Pick<ProviderWarmth, "delivered" | "deferred" | "bounced">;

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

type Rates = Limit & { answers: number };
/** What rates are made of. */
type Counts = Outcomes & Pick<ProviderWarmth, "recent">;
const answersOf = ({ delivered, deferred, bounced }: Outcomes) => delivered + deferred + bounced;
const ratesOf = (counts: Counts): Rates => {
  const { delivered, bounced, complained } = recentOf(counts);
  return {
    answers: answersOf(counts),
    // What bounces at once, and of what was taken the part that bounces later.
    bounced: part(counts.bounced, counts.delivered + counts.bounced) + part(bounced, delivered),
    deferred: part(counts.deferred, answersOf(counts)),
    complained: complained < complaintsMin ? 0 : Math.min(1, complained / Math.max(1, delivered)),
  };
};
const recentOf = ({ recent }: Pick<ProviderWarmth, "recent">) => recent ?? nothing;
const nothing = { delivered: 0, bounced: 0, complained: 0 };
const fading = (counts: Counts) => {
  const { delivered, bounced, complained } = recentOf(counts);
  return { delivered: memory * delivered, bounced: memory * bounced, complained: memory * complained };
};
const part = (faults: number, of: number) => (faults < faultsMin ? 0 : Math.min(1, faults / Math.max(1, of)));

/**
 * The rates of the address as a whole. Bounces are about the list and count from everybody; deferrals and complaints are
 * opinions, and those of a provider which is slowed already count no more, unless most mail goes to such providers.
 */
function ratesOfAll({ providers }: WarmingRecord): Rates {
  const all = Object.values(providers);
  const everybody = ratesOf(sumOf(all));
  const content = ratesOf(sumOf(all.filter(({ pace }) => pace >= 1)));
  if (2 * content.answers < everybody.answers) return everybody;
  return { ...everybody, deferred: content.deferred, complained: content.complained };
}

const sumOf = (providers: readonly Counts[]): Counts =>
  providers.reduce<Counts>(
    (sum, counts) => ({
      delivered: sum.delivered + counts.delivered,
      deferred: sum.deferred + counts.deferred,
      bounced: sum.bounced + counts.bounced,
      recent: {
        delivered: recentOf(sum).delivered + recentOf(counts).delivered,
        bounced: recentOf(sum).bounced + recentOf(counts).bounced,
        complained: recentOf(sum).complained + recentOf(counts).complained,
      },
    }),
    { delivered: 0, deferred: 0, bounced: 0 },
  );

const isOver = (rates: Limit, limit: Limit) => kinds.some((kind) => rates[kind] > limit[kind]);
const kinds = ["bounced", "deferred", "complained"] as const;
/** Complaints pause the provider that they come from, and not the address. */
function isHaltDue(record: WarmingRecord): boolean {
  const rates = ratesOfAll(record);
  return rates.answers >= judgedMin && isOver({ ...rates, complained: 0 }, limits.halt);
}

/** "12 % were deferred", or of a provider "deferred 12 %". */
function faultOf(rates: Limit, limit: Limit, isActive = false): string {
  const words = isActive
    ? { bounced: "bounced", deferred: "deferred", complained: "complained about" }
    : { bounced: "bounced", deferred: "were deferred", complained: "were complained about" };
  const faults = kinds.filter((kind) => rates[kind] > limit[kind]);
  return listed(
    faults.map((kind) =>
      isActive ? `${words[kind]} ${percent(rates[kind])}` : `${percent(rates[kind])} ${words[kind]}`,
    ),
  );
}

const placeOf = (record: WarmingRecord) =>
  // A halt comes in the middle of a day: more may be used by then than a halted address may send.
  [
    phrase("warming.day", { day: record.day, days: lastDay }),
    record.phase === "halted"
      ? phrase("warming.used-only", { used: usedOf(record) })
      : phrase("warming.used", { used: usedOf(record), cap: capOf(record) }),
  ].join(", ");

const slowedSince = phrase("warming.slowed", { fault: "" });
/** Where it stands and why, as one sentence: "day 6 of 30, 412 of 1,100 used, slowed because Yahoo deferred 12 %". */
export function sentenceOf(record: WarmingRecord): string {
  if (record.phase === "warm") return phrase("warming.warm", {});
  const whys = Object.values(record.providers).flatMap(({ pace, why }) =>
    pace < 1 && why !== undefined ? [why] : [],
  );
  const slow = whys.filter((why) => why.startsWith(slowedSince)).map((why) => why.slice(slowedSince.length));
  const others = whys.filter((why) => !why.startsWith(slowedSince));
  const slowest = slow.length === 0 ? [] : [`${slowedSince}${listed(slow)}`];
  return [placeOf(record), record.why, ...slowest, ...others].filter((part) => part !== undefined).join(", ");
}
