/** What the person at the keyboard sees: marks, tables, a box. Colours only on a terminal, or where FORCE_COLOR asks. */
import picocolors from "picocolors";
import { environment } from "./places.ts";

/** Not picocolors' own choice, which colours everything under CI: a file or a pipe there is no more a terminal than here. */
const colours = picocolors.createColors(wantsColours());
function wantsColours(): boolean {
  const { NO_COLOR, FORCE_COLOR, TERM } = environment();
  return !NO_COLOR && (!!FORCE_COLOR || (process.stdout.isTTY === true && TERM !== "dumb"));
}

/** Who reads our output may have read enough (`| head`): that ends the command, and is no error. */
process.stdout.on("error", endWhenUnread);
export function say(text: string): void {
  try {
    process.stdout.write(`${text}\n`);
  } catch (error) {
    endWhenUnread(error);
  }
}
function endWhenUnread(error: unknown): void {
  if (error instanceof Error && "code" in error && error.code === "EPIPE") process.exit(0);
  throw error;
}
export const complain = (text: string) => process.stderr.write(`${text}\n`);

export const marks = {
  ok: colours.green("✓"),
  bad: colours.red("✗"),
  partly: colours.yellow("!"),
} as const;

export { colours };

/** Width on a terminal. */
const width = (text: string) => Bun.stringWidth(text);
const pad = (text: string, columns: number) => text + " ".repeat(Math.max(0, columns - width(text)));

/** Rows with their columns aligned. */
export function table(rows: readonly (readonly string[])[], gap = "  "): string[] {
  const widths: number[] = [];
  for (const row of rows)
    for (const [column, cell] of row.entries()) widths[column] = Math.max(widths[column] ?? 0, width(cell));
  return rows.map((row) =>
    row.map((cell, column) => (column === row.length - 1 ? cell : pad(cell, widths[column] ?? 0))).join(gap),
  );
}

/** A frame round lines, as wide as the longest. */
export function box(title: string, lines: readonly string[]): string {
  const inner = Math.max(width(title) + 4, ...lines.map(width));
  const top = `╭─ ${colours.bold(title)} ${"─".repeat(Math.max(0, inner - width(title) - 1))}╮`;
  const bottom = `╰${"─".repeat(inner + 2)}╯`;
  return [top, ...lines.map((line) => `│ ${pad(line, inner)} │`), bottom].join("\n");
}

/** 950 → "950 ms", 61_000 → "1 min 1 s". */
export function duration(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1_000).toFixed(ms < 10_000 ? 1 : 0)} s`;
  const seconds = Math.round(ms / 1_000);
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3_600)} h ${Math.floor((seconds % 3_600) / 60)} min`;
  return `${Math.floor(seconds / 86_400)} d ${Math.floor((seconds % 86_400) / 3_600)} h`;
}
