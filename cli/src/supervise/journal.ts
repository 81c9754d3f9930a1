/** What `tyto up` prints while parts run: their lines with their names in colour, and what happens to them. */
import { colours, duration, marks, say } from "../screen.ts";
import { formatEntry, type Level, parseLine } from "./log-line.ts";
import type { Happening } from "./supervisor.ts";

const tints = [colours.cyan, colours.magenta, colours.blue, colours.green, colours.yellow];
const ranks: Record<Level, number> = { debug: 0, info: 1, warn: 2, error: 3 };

/** nats-server warns of passwords in its configuration; ours come from the environment and lie in a file of mode 0600. */
const pointless = /^Plaintext passwords detected/;

export type JournalOptions = {
  parts: readonly string[];
  /** Programs that are not ours talk a lot at info level; only their warnings are shown. */
  quiet: ReadonlySet<string>;
  nowMs(): number;
};

export function journal({ parts, quiet, nowMs }: JournalOptions): (happening: Happening) => void {
  const nameColumns = Math.max(...parts.map((name) => name.length));
  const tintOf = (part: string) => tints[Math.max(0, parts.indexOf(part)) % tints.length] ?? colours.cyan;
  return (happening) => {
    const { part } = happening;
    const note = (text: string) => say(`${" ".repeat(9)}${tintOf(part)(part.padEnd(nameColumns))} ${text}`);
    switch (happening.kind) {
      case "line": {
        const entry = parseLine(happening.text);
        if (quiet.has(part) && ranks[entry.level] < ranks.warn) return;
        if (entry.event.trim() === "" || pointless.test(entry.event)) return;
        say(formatEntry(entry, part, { nameColumns, nowMs: nowMs(), colours, tint: tintOf(part) }));
        return;
      }
      case "ended":
        note(
          `${marks.partly} ended (${happening.signal ?? `code ${happening.code}`}); starting again in ${duration(happening.restartAfterMs)}`,
        );
        return;
      case "gave-up":
        note(`${marks.bad} not started again: ${happening.why}`);
        return;
      case "stopping":
        note(colours.dim("stopping"));
        return;
      case "killed":
        note(`${marks.partly} killed: it did not stop within ${duration(happening.afterMs)}`);
        return;
    }
  };
}
