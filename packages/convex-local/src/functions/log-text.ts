import { inspect } from "node:util";
import { LOG_LINE_CHARS_MAX } from "./limits.ts";

const DEPTH_MAX = 6;
const TRUNCATED = " (truncated due to length)";

/** One line of a function's log: the level, then the parts as `console.log` was given them. */
export function logLine(level: string, parts: readonly unknown[]): string {
  const line = `[${level}] ${parts.map(printed).join(" ")}`;
  if (line.length <= LOG_LINE_CHARS_MAX) return line;
  // Not between the halves of a surrogate pair.
  const cut = line.slice(0, LOG_LINE_CHARS_MAX - TRUNCATED.length).replace(/[\uD800-\uDBFF]$/, "");
  return `${cut}${TRUNCATED}`;
}

/** A part that is printed as it stands: what the engine itself says. */
export class Plain {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** Texts in quotes, objects with a line for each field, arrays of plain values in one line. */
function printed(part: unknown): string {
  if (part instanceof Plain) return part.text;
  if (typeof part === "string") return `'${part}'`;
  const isFlat = Array.isArray(part) && part.every((member) => typeof member !== "object" || member === null);
  return inspect(part, { depth: DEPTH_MAX, compact: isFlat, breakLength: Number.POSITIVE_INFINITY });
}
