import type { Frame } from "./frame.ts";
import type { Outcome } from "./runner.ts";

const ENTRIES_MAX = 1000;

/** One function that has run, as `convex logs` reads it. */
export type LogEntry = {
  kind: "Completion";
  identifier: string;
  udfType: "Query" | "Mutation" | "Action" | "HttpAction";
  logLines: string[];
  /** Seconds since 1970. */
  timestamp: number;
  executionTime: number;
  success: Record<string, never> | null;
  error: string | null;
  requestId: string;
};

const TYPES = { query: "Query", mutation: "Mutation", action: "Action", httpAction: "HttpAction" } as const;

/** The newest executions, for those who read along. */
export class Logs {
  readonly #entries: { cursor: number; entry: LogEntry }[] = [];
  readonly #waiting = new Set<() => void>();
  #cursor: number;

  constructor(nowMs: number) {
    // Cursors rise over restarts, so that a reader from before misses nothing that is new.
    this.#cursor = Math.floor(nowMs);
  }

  append(frame: Frame, outcome: Outcome | null, executionMs = 0): void {
    const error = outcome?.isSuccess === false ? outcome.failure.message : null;
    this.#cursor++;
    this.#entries.push({
      cursor: this.#cursor,
      entry: {
        kind: "Completion",
        identifier: frame.path,
        udfType: TYPES[frame.kind],
        logLines: frame.logLines,
        timestamp: Date.now() / 1000,
        executionTime: executionMs / 1000,
        success: error === null ? {} : null,
        error,
        requestId: frame.metadata.requestId,
      },
    });
    if (this.#entries.length > ENTRIES_MAX) this.#entries.shift();
    for (const wake of this.#waiting) wake();
    this.#waiting.clear();
  }

  /** Entries after the cursor; waits up to `waitMs` for the first. */
  async after(cursor: number, waitMs: number): Promise<{ entries: LogEntry[]; newCursor: number }> {
    if (cursor >= this.#cursor) {
      let wake = () => {};
      let timer: ReturnType<typeof setTimeout> | undefined;
      await new Promise<void>((resolve) => {
        wake = resolve;
        this.#waiting.add(wake);
        timer = setTimeout(resolve, waitMs);
      });
      clearTimeout(timer);
      this.#waiting.delete(wake);
    }
    const entries = this.#entries.filter((stored) => stored.cursor > cursor).map(({ entry }) => entry);
    return { entries, newCursor: this.#cursor };
  }
}
