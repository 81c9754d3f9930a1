import type { Frame } from "./frame.ts";
import type { Outcome } from "./runner.ts";

const ENTRIES_MAX = 1000;

type LogLine = { messages: string[]; level: string; timestamp: number; isTruncated: boolean };

/** One function that has run, as `convex logs` reads it. */
export type LogEntry = {
  kind: "Completion";
  identifier: string;
  udfType: "Query" | "Mutation" | "Action" | "HttpAction";
  componentPath: string | null;
  logLines: LogLine[];
  /** Seconds since 1970. */
  timestamp: number;
  executionTimestamp: number;
  executionTime: number;
  success: Record<string, never> | null;
  error: string | null;
  requestId: string;
  executionId: string;
  cachedResult: false;
  caller: "HttpApi" | "Scheduler";
  identityType: "user" | "unknown";
  environment: "isolate";
  willRetry: false;
  returnBytes: number | null;
  usageStats: Record<string, number>;
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
    const endMs = Date.now();
    const used = frame.transaction?.usage.used;
    this.#entries.push({
      cursor: this.#cursor,
      entry: {
        kind: "Completion",
        identifier: frame.path,
        udfType: TYPES[frame.kind],
        componentPath: frame.component === "" ? null : frame.component,
        logLines: frame.logLines.map((line) => toLogLine(line, endMs)),
        timestamp: endMs / 1000,
        executionTimestamp: (endMs - executionMs) / 1000,
        executionTime: executionMs / 1000,
        success: error === null ? {} : null,
        error,
        requestId: frame.metadata.requestId,
        executionId: `${frame.metadata.requestId}-${this.#cursor}`,
        cachedResult: false,
        caller: frame.metadata.scheduledFunctionId === null ? "HttpApi" : "Scheduler",
        identityType: frame.identity === null ? "unknown" : "user",
        environment: "isolate",
        willRetry: false,
        returnBytes: outcome?.isSuccess === true ? outcome.value.length : null,
        usageStats: {
          databaseReadDocuments: used?.documentsRead ?? 0,
          databaseReadBytes: used?.bytesRead ?? 0,
          databaseWriteDocuments: used?.documentsWritten ?? 0,
          databaseWriteBytes: used?.bytesWritten ?? 0,
        },
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

/** "[LEVEL] text" in the parts that the CLI prints. */
function toLogLine(line: string, timestamp: number): LogLine {
  const match = /^\[(\w+)\] (.*)$/s.exec(line);
  const [, level = "LOG", text = line] = match ?? [];
  return { messages: [text], level, timestamp, isTruncated: false };
}
