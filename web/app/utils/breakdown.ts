/** Bounces, complaints and unsubscriptions over time, from counts as Convex keeps them: per hour, or per day in UTC. */
export const breakdownViews = ["bounces", "complaints", "unsubscribes"] as const;
export type BreakdownView = (typeof breakdownViews)[number];
export const breakdownBys = ["reason", "provider", "domain"] as const;
export type BreakdownBy = (typeof breakdownBys)[number];

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
export const breakdownRanges = {
  day: { bars: 24, barMs: hourMs },
  week: { bars: 7, barMs: dayMs },
  month: { bars: 30, barMs: dayMs },
} as const;
export type BreakdownRange = keyof typeof breakdownRanges;

/** The start of the first bar, such that the bar that holds `nowMs` is the last. */
export function breakdownSince(range: BreakdownRange, nowMs: number): number {
  const { bars, barMs } = breakdownRanges[range];
  return Math.floor(nowMs / barMs) * barMs - (bars - 1) * barMs;
}

export type KeyedSeries = { key: string; points: readonly { at: number; count: number }[] };
export type BreakdownBar = { at: number; counts: number[] };

/** More colours than these cannot be told apart. */
export const seriesMax = 5;
export const otherKey = "other";
/** Where nothing tells the provider, as for a click on a link. */
export const unknownKey = "unknown";

/** The most frequent series, and what is left of them as one; `keys` in the order of each bar's `counts`. */
export function breakdownBars(
  found: readonly KeyedSeries[],
  range: BreakdownRange,
  sinceMs: number,
): { keys: string[]; bars: BreakdownBar[] } {
  const { bars: length, barMs } = breakdownRanges[range];
  const named = found.filter(({ key }) => key !== otherKey);
  const shown = named.slice(0, seriesMax);
  const rest = [...named.slice(seriesMax), ...found.filter(({ key }) => key === otherKey)];
  const keys = shown.map(({ key }) => key);
  if (rest.length > 0) keys.push(otherKey);
  const bars = Array.from({ length }, (_, index) => ({
    at: sinceMs + index * barMs,
    counts: keys.map(() => 0),
  }));
  const add = (series: KeyedSeries, place: number) => {
    for (const { at, count } of series.points) {
      const counts = bars[Math.floor((at - sinceMs) / barMs)]?.counts;
      if (counts !== undefined) counts[place] = (counts[place] ?? 0) + count;
    }
  };
  for (const [place, series] of shown.entries()) add(series, place);
  for (const series of rest) add(series, shown.length);
  return { keys, bars };
}

/** The bars that get a label: every four hours, each day of a week, every fifth day of a month. */
export function breakdownTicks(bars: readonly BreakdownBar[], range: BreakdownRange): number[] {
  const step = { day: 4, week: 1, month: 5 }[range];
  return bars.filter((_, index) => (bars.length - 1 - index) % step === 0).map(({ at }) => at);
}

/** The colour of the series at a place; `--tyto-mix-*` stand in main.css. */
export const seriesColor = (key: string, place: number): string =>
  key === otherKey ? "var(--tyto-mix-other)" : `var(--tyto-mix-${place + 1})`;
