/** Log lines for people: JSON lines of our services in columns, lines of foreign programs as they are. */
import type { Colors } from "picocolors/types";

export type Level = "debug" | "info" | "warn" | "error";

export type Entry = {
  level: Level;
  atMs: number | undefined;
  /** `mail.delivered`, or the whole line of a program that does not write JSON. */
  event: string;
  fields: readonly (readonly [name: string, value: string])[];
  /** Further lines, such as a stack. */
  below: readonly string[];
};

const levels: ReadonlySet<string> = new Set(["debug", "info", "warn", "error"]);

/** One line of a program's output. Never throws: what is not one of our JSON lines is shown as it is. */
export function parseLine(line: string): Entry {
  const record = line.startsWith("{") ? parseRecord(line) : undefined;
  if (!record || typeof record.event !== "string") return parseForeign(line);
  const below: string[] = [];
  const fields: (readonly [string, string])[] = [];
  for (const [name, value] of Object.entries(record)) {
    if (["level", "time", "service", "event", "pid", "hostname"].includes(name) || value === undefined)
      continue;
    if (isError(value)) {
      fields.push([name, value.message ?? String(value.type ?? "error")]);
      if (value.stack) below.push(...value.stack.split("\n").slice(1));
    } else if (name === "problems" && Array.isArray(value)) below.push(...value.map(String));
    else if (typeof value === "string") {
      const [first = "", ...rest] = value.split("\n");
      fields.push([name, quoteIfNeeded(first)]);
      below.push(...rest);
    } else fields.push([name, JSON.stringify(value)]);
  }
  return {
    level: levels.has(String(record.level)) ? (record.level as Level) : "info",
    atMs: readTime(record.time),
    event: record.event,
    fields,
    below,
  };
}

/** Milliseconds, or ISO 8601. */
function readTime(time: unknown): number | undefined {
  if (typeof time === "number") return time;
  const parsed = typeof time === "string" ? Date.parse(time) : Number.NaN;
  return Number.isNaN(parsed) ? undefined : parsed;
}

function parseRecord(line: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    // Not JSON after all, for example a program that prints an object in braces.
    return undefined;
  }
}

/** nats-server marks levels as [WRN], [ERR], [FTL]; clamd and others write WARNING and ERROR. */
function parseForeign(line: string): Entry {
  const level: Level = /\[(ERR|FTL)\]|\bERROR\b|^error[:!]/.test(line)
    ? "error"
    : /\[WRN\]|\bWARNING\b|^warn/.test(line)
      ? "warn"
      : /\[(DBG|TRC)\]/.test(line)
        ? "debug"
        : "info";
  // nats-server begins with its process id, the time and the level, which the columns show already.
  const event = line.replace(/^\[\d+\] \d{4}\/\d\d\/\d\d \d\d:\d\d:\d\d\.\d+ \[[A-Z]{3}\] /, "");
  return { level, atMs: undefined, event, fields: [], below: [] };
}

type LoggedError = { type?: unknown; message?: string; stack?: string };
const isError = (value: unknown): value is LoggedError =>
  typeof value === "object" && value !== null && "message" in value && "stack" in value;

const quoteIfNeeded = (text: string) => (/^[^\s"=]+$/.test(text) ? text : JSON.stringify(text));

const clock = (atMs: number) => new Date(atMs).toTimeString().slice(0, 8);

/** `12:03:04 mta      mail.delivered  messageId=... durationMs=12` */
export function formatEntry(
  entry: Entry,
  part: string,
  { nameColumns, nowMs, colours, tint }: FormatOptions,
): string {
  const byLevel = {
    debug: colours.dim,
    info: (text: string) => text,
    warn: colours.yellow,
    error: colours.red,
  };
  const fields = entry.fields.map(([name, value]) => `${colours.dim(`${name}=`)}${value}`).join(" ");
  const head = `${colours.dim(clock(entry.atMs ?? nowMs))} ${tint(part.padEnd(nameColumns))} `;
  const first = `${head}${byLevel[entry.level](entry.event)}${fields === "" ? "" : `  ${fields}`}`;
  const indent = " ".repeat(clock(nowMs).length + nameColumns + 4);
  return [first, ...entry.below.map((line) => indent + colours.dim(line.trim()))].join("\n");
}

export type FormatOptions = {
  nameColumns: number;
  nowMs: number;
  colours: Colors;
  tint(text: string): string;
};
