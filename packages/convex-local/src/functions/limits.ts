import { LimitError } from "./errors.ts";

const MIB = 1024 * 1024;

/** What one query or mutation may use, nested calls included: the limits of the official backend. */
export const TRANSACTION_LIMITS = {
  documentsRead: 32_000,
  bytesRead: 16 * MIB,
  databaseQueries: 4096,
  documentsWritten: 16_000,
  bytesWritten: 16 * MIB,
  functionsScheduled: 1000,
  scheduledFunctionArgsBytes: 16 * MIB,
} as const;

export const DOCUMENT_BYTES_MAX = MIB;
export const DOCUMENT_DEPTH_MAX = 16;
export const VALUE_DEPTH_MAX = 64;
export const FUNCTION_ARGS_BYTES_MAX = 16 * MIB;
export const FUNCTION_RESULT_BYTES_MAX = 16 * MIB;
export const SCHEDULED_ARGS_BYTES_MAX = 4 * MIB;
/** Depth of `ctx.runQuery` and `ctx.runMutation` inside one transaction. */
export const NESTED_CALLS_MAX = 8;
export const LOG_LINES_MAX = 256;
export const LOG_LINE_CHARS_MAX = 4096;

export type Metric = keyof typeof TRANSACTION_LIMITS;

const SAYS: Record<Metric, string> = {
  documentsRead: "Too many documents read in a single function execution",
  bytesRead: "Too many bytes read in a single function execution",
  databaseQueries: "Too many reads in a single function execution",
  documentsWritten: "Too many documents written in a single function execution",
  bytesWritten: "Too many bytes written in a single function execution",
  functionsScheduled: "Too many functions scheduled by this mutation",
  scheduledFunctionArgsBytes:
    "Too large total size of the arguments of scheduled functions from this mutation",
};

/** Counters of one transaction; plain numbers, so that counting costs nothing that matters. */
export class Usage {
  readonly used: Record<Metric, number> = {
    documentsRead: 0,
    bytesRead: 0,
    databaseQueries: 0,
    documentsWritten: 0,
    bytesWritten: 0,
    functionsScheduled: 0,
    scheduledFunctionArgsBytes: 0,
  };

  add(metric: Metric, amount: number): void {
    this.used[metric] += amount;
    if (this.used[metric] > TRANSACTION_LIMITS[metric]) {
      throw new LimitError(`${SAYS[metric]} (limit: ${TRANSACTION_LIMITS[metric]})`);
    }
  }

  read(json: string): void {
    this.add("documentsRead", 1);
    this.add("bytesRead", json.length);
  }
}
