/**
 * How much an address that nobody knows yet may send on each of its first days. Between the points the cap grows in a
 * straight line; the last point is what the cap would be on the day from which there is none.
 */
const points: readonly (readonly [day: number, cap: number])[] = [
  [1, 50],
  [2, 100],
  [3, 200],
  [5, 700],
  [7, 1_500],
  [10, 3_000],
  [14, 7_500],
  [18, 15_000],
  [21, 20_000],
  [25, 30_000],
  [30, 60_000],
];

/** On this day of the schedule an address is known, and has no cap any more. */
export const lastDay = 30;

/** Messages that may be sent on a day of the schedule, counted from 1. */
export function capOfDay(day: number): number {
  let [beforeDay, beforeCap] = points[0] ?? [1, 0];
  for (const [atDay, cap] of points) {
    if (day <= atDay) {
      const part = atDay === beforeDay ? 1 : (day - beforeDay) / (atDay - beforeDay);
      return Math.round(beforeCap + (cap - beforeCap) * Math.max(0, part));
    }
    [beforeDay, beforeCap] = [atDay, cap];
  }
  return beforeCap;
}

/** Receivers take a sudden jump in volume for a stolen machine: a day's cap is at most this many times the one before. */
const growthMax = 2;
/** A day that went well counts as up to half of the days so far. */
const leap = 1.5;

/** The day that follows `day` when everything went well and the cap was used: at least the next one. */
export function leapFrom(day: number): number {
  let to = day + 1;
  while (to + 1 <= day * leap && capOfDay(to + 1) <= growthMax * capOfDay(day)) to++;
  return to;
}

const dayMs = 86_400_000;

/** The UTC day of a time, `2026-11-21`. */
export const dateOf = (nowMs: number) => new Date(nowMs).toISOString().slice(0, 10);
/** The time at which the next UTC day begins. */
export const midnightAfter = (nowMs: number) => (Math.floor(nowMs / dayMs) + 1) * dayMs;
/** How much of the UTC day is over, 0 to 1. */
export const partOfDay = (nowMs: number) => (nowMs % dayMs) / dayMs;
/** Whole days from one date to another. */
export const daysBetween = (from: string, to: string) =>
  Math.round((Date.parse(to) - Date.parse(from)) / dayMs);
