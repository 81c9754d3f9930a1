import type { TraceLineView } from "@tyto/contracts";

export type TraceEvent =
  | { name: "line"; data: TraceLineView }
  | { name: "dropped"; data: { lines: number } }
  | { name: "end"; data: { why: string } };

/** A piece of an event stream that has no end is given up beyond this. */
const unfinishedCharsMax = 1_048_576;

/**
 * Server-sent events (WHATWG HTML §9.2) with JSON data, as far as the gateway writes them: takes text as it comes, answers
 * the events that are complete. Comments and events of other names are left out. Throws SyntaxError when data are not JSON.
 */
export function createEventReader(): (text: string) => TraceEvent[] {
  let unfinished = "";
  return (text) => {
    const blocks = (unfinished + text).split("\n\n");
    unfinished = (blocks.pop() ?? "").slice(-unfinishedCharsMax);
    return blocks.flatMap((block): TraceEvent[] => {
      const name = fieldOf(block, "event");
      const data = fieldOf(block, "data");
      if (data === undefined || (name !== "line" && name !== "dropped" && name !== "end")) return [];
      return [{ name, data: JSON.parse(data) } as TraceEvent];
    });
  };
}

const fieldOf = (block: string, name: string): string | undefined =>
  block
    .split("\n")
    .find((line) => line.startsWith(`${name}: `))
    ?.slice(name.length + 2);

export type ShownLine = {
  id: number;
  at: string;
  /** The process's last letters and the session's name in it. */
  session: string;
  side: TraceLineView["side"] | "head";
  text: string;
};
export type Dialogue = {
  lines: readonly ShownLine[];
  /** Lines that were ever taken: the ids go on. */
  taken: number;
  /** Lines left out on the way here because they came too fast. */
  dropped: number;
  /** Sessions whose head line was shown; the latest ones. */
  known: readonly string[];
};

export const linesMax = 1_000;
const sessionsMax = 500;

export const emptyDialogue: Dialogue = { lines: [], taken: 0, dropped: 0, known: [] };

/** The dialogue with further lines at its end, the oldest ones left out; each session begins with whom it is with. */
export function addLines(dialogue: Dialogue, lines: readonly TraceLineView[], dropped = 0): Dialogue {
  const known = new Set(dialogue.known);
  let { taken } = dialogue;
  const added = lines.flatMap(({ at, process, session: name, host, ip, egress, side, text }): ShownLine[] => {
    const session = `${process.slice(-4)}.${name}`;
    const line = { id: ++taken, at, session, side, text };
    if (known.has(session)) return [line];
    known.add(session);
    const from = egress === undefined ? "" : ` ← ${egress}`;
    return [
      { ...line, side: "head", text: `${host} [${ip}]${from}` },
      { ...line, id: ++taken },
    ];
  });
  return {
    lines: [...dialogue.lines, ...added].slice(-linesMax),
    taken,
    dropped: dialogue.dropped + dropped,
    known: [...known].slice(-sessionsMax),
  };
}

/** One of the few colours that tell sessions apart, the same for every line of a session. */
export function sessionPlace(session: string, places: number): number {
  let sum = 0;
  for (const letter of session) sum = (sum * 31 + letter.charCodeAt(0)) % 9_973;
  return sum % places;
}
