const secondMs = 1_000;
const minuteMs = 60 * secondMs;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;

const number = (locale: string, value: number, digits: number) =>
  new Intl.NumberFormat(locale, { maximumFractionDigits: digits }).format(value);

/** A span in at most two units: `80 ms`, `1.4 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`. */
export function formatSpan(spanMs: number, locale: string): string {
  const span = Math.max(0, Math.round(spanMs));
  if (span < secondMs) return `${span} ms`;
  if (span < 10 * secondMs) return `${number(locale, span / secondMs, 1)} s`;
  if (span < minuteMs) return `${Math.floor(span / secondMs)} s`;
  if (span < hourMs) return joined(span, minuteMs, "min", secondMs, "s");
  if (span < dayMs) return joined(span, hourMs, "h", minuteMs, "min");
  return joined(span, dayMs, "d", hourMs, "h");
}

function joined(span: number, largeMs: number, large: string, smallMs: number, small: string): string {
  const rest = Math.floor((span % largeMs) / smallMs);
  const head = `${Math.floor(span / largeMs)} ${large}`;
  return rest === 0 ? head : `${head} ${rest} ${small}`;
}

/** How long until a time, in whole seconds, rounded up: for what is counted down. */
export function formatLeft(atMs: number, nowMs: number, locale: string): string {
  const leftMs = secondMs * Math.ceil((atMs - nowMs) / secondMs);
  return leftMs <= 0 ? "0 s" : formatSpan(leftMs, locale);
}

/** How long ago or how far ahead, in words of the language: `3 minutes ago`, `in 2 hours`, `now`. */
export function formatAgo(atMs: number, nowMs: number, locale: string): string {
  const distance = atMs - nowMs;
  const size = Math.abs(distance);
  const format = new Intl.RelativeTimeFormat(locale, { numeric: "auto", style: "short" });
  if (size < 10 * secondMs) return format.format(0, "second");
  if (size < minuteMs) return format.format(Math.trunc(distance / secondMs), "second");
  if (size < hourMs) return format.format(Math.trunc(distance / minuteMs), "minute");
  if (size < dayMs) return format.format(Math.trunc(distance / hourMs), "hour");
  return format.format(Math.trunc(distance / dayMs), "day");
}

/** Date and time in full, with seconds: for tooltips and facts. */
export function formatMoment(atMs: number, locale: string, timeZone?: string): string {
  return new Intl.DateTimeFormat(locale, {
    dateStyle: "medium",
    timeStyle: "medium",
    ...(timeZone === undefined ? {} : { timeZone }),
  }).format(atMs);
}

/** A bar's start: the time of day, with the day where the span is longer than one. */
export function formatSlot(atMs: number, locale: string, withDay: boolean, timeZone?: string): string {
  const zone = timeZone === undefined ? {} : { timeZone };
  const time = new Intl.DateTimeFormat(locale, { timeStyle: "short", ...zone }).format(atMs);
  if (!withDay) return time;
  const day = new Intl.DateTimeFormat(locale, {
    weekday: "short",
    day: "numeric",
    month: "numeric",
    ...zone,
  });
  return `${day.format(atMs)} ${time}`;
}

/** A day on an axis: `Nov 21`. */
export function formatDay(atMs: number, locale: string, timeZone?: string): string {
  return new Intl.DateTimeFormat(locale, {
    month: "short",
    day: "numeric",
    ...(timeZone === undefined ? {} : { timeZone }),
  }).format(atMs);
}

/** A day in full: `Nov 21, 2026`. */
export function formatDate(atMs: number, locale: string, timeZone?: string): string {
  return new Intl.DateTimeFormat(locale, {
    dateStyle: "medium",
    ...(timeZone === undefined ? {} : { timeZone }),
  }).format(atMs);
}

/** The time of day with seconds; the day stands beside it where it changes. */
export function formatClock(atMs: number, locale: string, timeZone?: string): string {
  return new Intl.DateTimeFormat(locale, {
    timeStyle: "medium",
    ...(timeZone === undefined ? {} : { timeZone }),
  }).format(atMs);
}

/** The value that `<input type="datetime-local">` takes, in the zone of this machine: `2026-11-21T09:30`. */
export function toLocalInput(atMs: number): string {
  const date = new Date(atMs);
  const two = (value: number) => String(value).padStart(2, "0");
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}T${two(date.getHours())}:${two(date.getMinutes())}`;
}
