/** The queue as lines for a terminal, as wide as it is. */
import type { HoldView, MeasureView, QueueActed, QueueRow, QueueView } from "@tyto/contracts";
import type { z } from "zod";
import { colours, duration, marks } from "../screen.ts";

const number = (value: number) => value.toLocaleString("en-US");
export const connections = (count: number) => `${number(count)} connection${count === 1 ? "" : "s"}`;
/** Below this width only the columns that matter most are shown. */
const columnsNarrow = 90;

export const stateMark = {
  open: marks.ok,
  slowed: marks.partly,
  suspended: marks.bad,
  held: marks.bad,
} as const;

type Column = { title: string; isNumber?: boolean; isOptional?: boolean; cell(row: QueueRow): string };

const columnsOf = (by: QueueView["by"], nowMs: number): Column[] => [
  { title: by.toUpperCase(), cell: ({ key }) => (key === "" ? "(none)" : key) },
  { title: "WAIT", isNumber: true, cell: ({ entries }) => number(entries) },
  { title: "DUE", isNumber: true, isOptional: true, cell: ({ ready }) => number(ready) },
  { title: "LATER", isNumber: true, isOptional: true, cell: ({ later }) => number(later) },
  // Counted by site alone.
  ...(by === "site"
    ? [{ title: "HAND", isNumber: true, isOptional: true, cell: ({ in_hand }: QueueRow) => number(in_hand) }]
    : []),
  { title: "OLDEST", isNumber: true, isOptional: true, cell: ({ oldest_at }) => since(oldest_at, nowMs) },
  { title: "NEXT", isNumber: true, isOptional: true, cell: ({ next_at }) => until(next_at, nowMs) },
  { title: "SENT/MIN", isNumber: true, cell: ({ last_minute }) => number(last_minute.delivered) },
  {
    title: "NOT/MIN",
    isNumber: true,
    isOptional: true,
    cell: ({ last_minute: { deferred, bounced } }) => number(deferred + bounced),
  },
  {
    title: "STATE",
    cell: ({ state, until: end }) => `${stateMark[state]} ${state}${lasting(end, nowMs)}`,
  },
];

/** For how long; what is over already ends with the next message, which asks for all. */
export const lasting = (end: string | undefined, nowMs: number) =>
  end === undefined ? "" : Date.parse(end) > nowMs ? ` for ${until(end, nowMs)}` : ", the next one asks";

/** How many wait, since when, and row by row why. `columns` is the width of the terminal. */
export function formatQueue(queue: QueueView, columns: number, nowMs: number): string[] {
  const { total, classes, rows, rest } = queue;
  const minute = total.last_minute;
  const facts = [
    total.entries === 0
      ? `${marks.ok} nothing waits`
      : `${colours.bold(number(total.entries))} wait: ${number(total.ready)} due, ${number(total.later)} later`,
    total.oldest_at === undefined ? undefined : `oldest ${since(total.oldest_at, nowMs)}`,
    `${number(total.in_hand)} in hand over ${connections(total.connections)}`,
    `last minute ${number(minute.delivered)} delivered, ${number(minute.deferred)} deferred, ${number(minute.bounced)} bounced`,
    queue.processes === 1 ? undefined : `${queue.processes} mta processes`,
  ].filter((fact) => fact !== undefined);
  const waitingClasses = classes.filter(({ entries }) => entries > 0);
  return [
    ...joined(facts, " · ", columns),
    ...(waitingClasses.length > 1
      ? [
          colours.dim(
            waitingClasses.map(({ traffic, entries }) => `${traffic} ${number(entries)}`).join(" · "),
          ),
        ]
      : []),
    ...(rows.length === 0 ? [] : ["", ...formatRows(queue, columns, nowMs)]),
    ...(rest === undefined
      ? []
      : [colours.dim(`and ${number(rest.entries)} more in ${number(rest.rows)} rows: --limit shows more`)]),
  ];
}

function formatRows({ rows, by }: QueueView, columns: number, nowMs: number): string[] {
  const shown = columnsOf(by, nowMs).filter(({ isOptional }) => columns >= columnsNarrow || !isOptional);
  const others = shown
    .slice(1)
    .map(({ title, cell }) => Math.max(...[title, ...rows.map(cell)].map(widthOf)));
  const keyMax = Math.max(12, columns - others.reduce((sum, width) => sum + width + 2, 0));
  const cells = [
    shown.map(({ title }) => colours.dim(title)),
    ...rows.map((row) =>
      shown.map((column, index) => (index === 0 ? cut(column.cell(row), keyMax) : column.cell(row))),
    ),
  ];
  const widths = shown.map((_, index) => Math.max(...cells.map((row) => Bun.stringWidth(row[index] ?? ""))));
  return cells.flatMap((row, line) => {
    const text = row
      .map((cell, index) => {
        const space = " ".repeat(Math.max(0, (widths[index] ?? 0) - Bun.stringWidth(cell)));
        if (shown[index]?.isNumber) return space + cell;
        return index === row.length - 1 ? cell : cell + space;
      })
      .join("  ");
    const why = line === 0 ? undefined : rows[line - 1]?.why;
    return why === undefined ? [text] : [text, ...wrapped(why, columns, "  ").map(colours.dim)];
  });
}

const widthOf = (text: string) => Bun.stringWidth(text);

export const cut = (text: string, columns: number) =>
  Bun.stringWidth(text) <= columns ? text : `${text.slice(0, columns - 1)}…`;

/** Parts with a separator, as many on a line as fit. */
function joined(parts: readonly string[], separator: string, columns: number): string[] {
  const lines: string[] = [];
  for (const part of parts) {
    const last = lines.at(-1);
    const longer = last === undefined ? part : `${last}${separator}${part}`;
    if (last !== undefined && Bun.stringWidth(longer) > columns) lines.push(part);
    else lines.splice(-1, lines.length === 0 ? 0 : 1, longer);
  }
  return lines;
}

/** Words over lines of `columns`, each begun with `indent`. */
export function wrapped(text: string, columns: number, indent: string): string[] {
  const lines: string[] = [];
  for (const word of text.split(/\s+/)) {
    const last = lines.at(-1);
    if (last === undefined || Bun.stringWidth(`${last} ${word}`) > columns) lines.push(`${indent}${word}`);
    else lines[lines.length - 1] = `${last} ${word}`;
  }
  return lines;
}

export const since = (iso: string | undefined, nowMs: number) =>
  iso === undefined ? "" : short(nowMs - Date.parse(iso));
export const until = (iso: string | undefined, nowMs: number) =>
  iso === undefined ? "" : left(Date.parse(iso) - nowMs);
/** "2 h 3 min" as "2 h": columns are scarce, and the rest is hardly ever of use. */
const short = (ms: number) => duration(Math.max(0, ms)).split(" ").slice(0, 2).join(" ");

/** To the minute, rounded: of two hours that began a second ago two are left, and of an hour and a half more than one. */
function left(ms: number): string {
  if (ms < 60_000) return short(ms);
  const minutes = Math.round(ms / 60_000);
  const [large, small] = minutes < 1_440 ? [60, 1] : [1_440, 60];
  const [many, few] = [Math.floor(minutes / large), Math.floor((minutes % large) / small)];
  const [unit, fraction] = minutes < 1_440 ? ["h", "min"] : ["d", "h"];
  return [many === 0 ? "" : `${many} ${unit}`, few === 0 ? "" : `${few} ${fraction}`]
    .filter((text) => text !== "")
    .join(" ");
}

type Acted = z.infer<typeof QueueActed>;

const past = { hold: "put off", bounce: "given up", requeue: "due now", rebind: "moved" } as const;

/** What was done to how many, and which ones first. */
export function formatActed(acted: Acted, nowMs: number): string[] {
  const { action, dry_run, matched, touched, in_hand, sample } = acted;
  const entries = (count: number) => (count === 1 ? "1 entry" : `${number(count)} entries`);
  const inHand = in_hand === 0 ? "" : `; ${entries(in_hand)} being sent at this moment left alone`;
  const said = dry_run
    ? `${colours.bold(entries(matched))} would be ${past[action]}`
    : `${marks.ok} ${colours.bold(entries(touched))} ${past[action]}${inHand}`;
  const rows = sample.map(({ recipient, site, attempt, accepted_at, next_at }) =>
    [
      `  ${recipient}`,
      colours.dim(`at ${site}, attempt ${attempt}, ${since(accepted_at, nowMs)} old`),
      next_at === undefined ? colours.dim("due") : colours.dim(`next in ${until(next_at, nowMs)}`),
    ].join("  "),
  );
  const more = matched - sample.length;
  return [
    said,
    ...(dry_run
      ? [...rows, ...(more > 0 && sample.length > 0 ? [colours.dim(`  … and ${number(more)} more`)] : [])]
      : []),
  ];
}

/** A site that was suspended is released. */
export const askedLine = `${marks.ok} it is asked by the next message now; what waited for that follows when it takes mail`;

export function formatHold({ key, why, by, until: end, since: begun }: HoldView, nowMs: number): string {
  const ends = end === undefined ? "until it is released" : `for ${until(end, nowMs)}`;
  return `${marks.bad} ${colours.bold(key)} held ${ends}  ${colours.dim(`${why} (${by}, ${since(begun, nowMs)} ago)`)}`;
}

/** What a rule or an operator does with the mail of a site, until when, and what ends it. */
export function formatMeasure(measure: MeasureView, nowMs: number): string {
  const { key, action, rule, by = `rule:${rule}`, site, why, since: begun, until: end } = measure;
  const what = deeds[action](measure);
  const ending = action === "limit" ? `tyto site ${site} --release` : `tyto queue release --hold ${key}`;
  const reason = why === "" ? "" : `${why} `;
  const told = `${reason}(${by}, ${since(begun, nowMs)} ago; ends with ${ending})`;
  return `${marks.partly} ${colours.bold(what)} for ${until(end, nowMs)}  ${colours.dim(told)}`;
}

const deeds: Record<MeasureView["action"], (measure: MeasureView) => string> = {
  "switch-pool": ({ egress, site, pool }) => `mail of ${egress} to ${site} leaves by the pool ${pool}`,
  bounce: ({ site, rule }) => `mail to ${site} that the rule ${rule} matches is given up`,
  limit: ({ site, rate, connections_max: max }) =>
    `${site} gets at most ${[rate, max === undefined ? undefined : connections(max)].filter((part) => part !== undefined).join(" and ")} from each address`,
};
