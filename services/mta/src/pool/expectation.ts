/** How long it takes until a turn comes at a site, and what is told to those who would wait too long for theirs. */
import type { Place } from "./line.ts";
import type { Site } from "./site.ts";
import type { Wait } from "./waiting.ts";

/** Nobody is sent away for longer: a site may become faster, and a turn that passes unused is lost. */
const bookedMsMax = 900_000;
const bookedOwnersMax = 200;
/** As many entries as a message of the queue holds. */
const blockMax = 100;
/** A line has to stand this long before anybody is sent away because of it. */
const judgedMs = 5_000;
/** Up to this, everybody waits in line. */
export const shortMsMax = 1_000;
/** Those that a suspended site sends away come back over at least this time. */
const spreadMsMin = 10_000;

/** Would one that comes now wait for longer than `waitMs`? Only a line that says enough is judged by. */
export const isTooLong = (site: Site, place: Place, waitMs: number, nowMs: number): boolean =>
  isJudged(site, nowMs) && turnMs(site, nowMs) * (site.line.before(place) + 1) > waitMs;

/** The first connections of a burst are slow and say little; a rate is known from its first message. */
const isJudged = (site: Site, nowMs: number) =>
  site.gapMs > 0 || site.line.size() === 0 || nowMs - site.lineSinceMs > judgedMs;

/** What slows the site down: its rate or its connections. */
const turnMs = (site: Site, nowMs: number) => Math.max(leaseTurnMs(site, nowMs), site.gapMs);

/** How long one turn takes for want of connections; a site that has handed out nothing for long is as slow. */
function leaseTurnMs({ taken, idle, leaseMs, leasedAtMs }: Site, nowMs: number): number {
  const isBusy = taken > 0 && idle.length === 0;
  return (isBusy ? Math.max(leaseMs, nowMs - leasedAtMs) : leaseMs) / Math.max(1, taken);
}

/** Connections may become faster or more at any time: who waits for one comes again well before its turn is expected. */
const connectionShare = 0.5;

/**
 * When one whose turn is too far away shall come again, and why: with others of its line, when there are `count` of them.
 * `random` is from 0 up to 1.
 */
export function comeAgain(site: Site, place: Place, nowMs: number, random: () => number, count = 1): Wait {
  const name = site.provider ?? site.key.site;
  const isRate = site.gapMs > leaseTurnMs(site, nowMs);
  const turn = turnMs(site, nowMs) * (isRate ? 1 : connectionShare);
  const waitMs = turn * (site.line.before(place) + 1);
  const why = isRate
    ? `${name}: as many as its rate allows are before it`
    : `all connections that ${name} may have are in use`;
  const atLeastMs = isRate ? waitMs : Math.max(waitMs, shortMsMax);
  const untilMs = book(site, place, { nowMs, waitMs: atLeastMs, turn, count, random });
  return { kind: "wait", untilMs, why, isBooked: true };
}

/** Those that a suspended site sends away: not all at once, as the first of them finds out whether it is well again. */
export const spread = (leave: Wait, waitMs: number, random: () => number): Wait => ({
  ...leave,
  untilMs: leave.untilMs + Math.max(spreadMsMin, waitMs / 2) * random(),
});

/**
 * When `count` of them shall come again: behind those of their owner that were sent away last, and not before `waitMs` from now. Each
 * owner gets its share of the turns. Those that are too many come again at any time, so that there is always somebody who finds
 * out that the site is quicker than expected.
 */
function book(
  site: Site,
  { owner }: Place,
  asked: { nowMs: number; waitMs: number; turn: number; count: number; random: () => number },
): number {
  const { nowMs, waitMs, turn, count, random } = asked;
  const { booked } = site;
  for (const [other, untilMs] of booked) if (untilMs <= nowMs) booked.delete(other);
  const earliestMs = nowMs + waitMs;
  const atMs = Math.max(earliestMs, booked.get(owner) ?? 0);
  if (atMs > nowMs + bookedMsMax) return Math.max(earliestMs, blockOf(site, nowMs, count, random));
  if (booked.has(owner) || booked.size < bookedOwnersMax)
    booked.set(owner, atMs + turn * count * Math.max(1, booked.size));
  return atMs;
}

/** Neighbours come again together: they share a message of the queue. */
function blockOf(site: Site, nowMs: number, count: number, random: () => number): number {
  const { block } = site;
  if (block.left >= count && block.atMs > nowMs) block.left -= count;
  else site.block = { atMs: nowMs + bookedMsMax * random(), left: Math.max(0, blockMax - count) };
  return site.block.atMs;
}
