/** Minutes, hours and days (UTC) that rows are summed by, and questions about days. */

export const minuteMs = 60_000;
export const hourMs = 3_600_000;
export const dayMs = 86_400_000;
/** The most days that one question covers. */
export const daysMax = 93;
/** Rows of all domains and days read for one answer: the latest ones. */
export const domainDayRowsMax = 8_000;

/** The beginning of the period of `stepMs` that `time` is in. */
export const floorTo = (time: number, stepMs: number): number => Math.floor(time / stepMs) * stepMs;

export const dayOf = (time: number): number => floorTo(time, dayMs);

/** The first day of a question that begins at `sinceMs`, at most `daysMax` ago. */
export const sinceDay = (sinceMs: number, nowMs: number): number =>
  dayOf(Math.max(sinceMs, nowMs - daysMax * dayMs));
