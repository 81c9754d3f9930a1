import { measure } from "../values/measure.ts";
import type { Json } from "../values/wire.ts";
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
  // The official numbers for files inside mutations are not published; these are ours.
  filesWritten: 1000,
  fileWriteBytes: 16 * MIB,
  filesRead: 1000,
  fileReadBytes: 16 * MIB,
} as const;

export type Metric = keyof typeof TRANSACTION_LIMITS;
export type TransactionLimits = Record<Metric, number>;

export const DOCUMENT_BYTES_MAX = MIB;
export const DOCUMENT_DEPTH_MAX = 16;
export const VALUE_DEPTH_MAX = 64;
export const FUNCTION_ARGS_BYTES_MAX = 16 * MIB;
/** Arguments of actions in files that begin with "use node". */
export const NODE_ARGS_BYTES_MAX = 5 * MIB;
export const FUNCTION_RESULT_BYTES_MAX = 16 * MIB;
export const SCHEDULED_ARGS_BYTES_MAX = 4 * MIB;
/** Depth of `ctx.runQuery` and `ctx.runMutation` inside one transaction. */
export const NESTED_CALLS_MAX = 8;
/** Calls of the engine that one function may have in flight. */
export const CONCURRENT_OPERATIONS_MAX = 1000;
export const LOG_LINES_MAX = 256;
export const LOG_LINE_CHARS_MAX = 32_768;

/** From this share of a limit on a warning goes to the log of the function. */
const WARNING_SHARE = 0.8;

const FEWER_READS =
  "Consider using smaller limits in your queries, paginating your queries, or using indexed queries with a selective index range expressions.";

type Rule = { over: string; near: string; unit?: " bytes"; advice?: string };

const READS: Partial<Rule> = { advice: FEWER_READS };
const RULES: Record<Metric, Rule> = {
  documentsRead: {
    over: "Too many documents read in a single function execution",
    near: "Many documents read in a single function execution",
    ...READS,
  },
  bytesRead: {
    over: "Too many bytes read in a single function execution",
    near: "Many bytes read in a single function execution",
    unit: " bytes",
    ...READS,
  },
  databaseQueries: {
    over: "Too many reads in a single function execution",
    near: "Many reads in a single function execution",
    ...READS,
  },
  documentsWritten: {
    over: "Too many writes in a single function execution",
    near: "Many writes in a single function execution",
  },
  bytesWritten: {
    over: "Too many bytes written in a single function execution",
    near: "Many bytes written in a single function execution",
    unit: " bytes",
  },
  functionsScheduled: {
    over: "Too many functions scheduled by this mutation",
    near: "Many functions scheduled by this mutation",
  },
  scheduledFunctionArgsBytes: {
    over: "Too large total size of the arguments of scheduled functions from this mutation",
    near: "Large total size of the arguments of scheduled functions from this mutation",
    unit: " bytes",
  },
  filesWritten: {
    over: "Too many files stored by this mutation",
    near: "Many files stored by this mutation",
  },
  fileWriteBytes: {
    over: "Too many bytes of files stored by this mutation",
    near: "Many bytes of files stored by this mutation",
    unit: " bytes",
  },
  filesRead: { over: "Too many files read by this mutation", near: "Many files read by this mutation" },
  fileReadBytes: {
    over: "Too many bytes of files read by this mutation",
    near: "Many bytes of files read by this mutation",
    unit: " bytes",
  },
};

const METRICS = Object.keys(TRANSACTION_LIMITS) as Metric[];
const NOTHING = Object.fromEntries(METRICS.map((metric) => [metric, 0])) as TransactionLimits;
/** No limits but the usual ones. */
export const NO_LIMITS: Partial<TransactionLimits> = {};
const READ_METRICS: readonly Metric[] = [
  "documentsRead",
  "bytesRead",
  "databaseQueries",
  "filesRead",
  "fileReadBytes",
];

const within = (words: string[]) => words.filter((word) => word !== "").join(" ");

/** "[WARN] …" when an amount comes near its limit, undefined when it does not. */
export function nearLimit(
  says: string,
  actual: number,
  limit: number,
  unit = "",
  advice = "",
): string | undefined {
  if (actual <= Math.floor(limit * WARNING_SHARE) || actual > limit) return undefined;
  return within([`[WARN] ${says} (actual: ${actual}${unit}, limit: ${limit}${unit}).`, advice]);
}

/**
 * A document of Convex is never larger than this many bytes per character of its JSON: "1," is two characters
 * and nine bytes.
 */
const BYTES_PER_CHAR_MAX = 4.5;

/**
 * Counters of one transaction. Plain numbers, so that counting costs nothing that matters; read documents are
 * measured only when their texts could exceed the limit, or when somebody asks.
 */
export class Usage {
  readonly #used: TransactionLimits;
  #limits: TransactionLimits;
  /** Texts of documents read that `bytesRead` does not count yet. */
  #unmeasured: string[] = [];
  #unmeasuredChars = 0;

  constructor(limits: Partial<TransactionLimits> = NO_LIMITS) {
    this.#used = { ...NOTHING };
    this.#limits = limits === NO_LIMITS ? TRANSACTION_LIMITS : { ...TRANSACTION_LIMITS, ...limits };
  }

  /** What has been counted so far; `bytesRead` lags behind, see `metrics`. */
  get used(): Readonly<TransactionLimits> {
    return this.#used;
  }

  /** Counts first and then checks, as the official backend does. Throws LimitError. */
  add(metric: Metric, amount: number): void {
    this.#used[metric] += amount;
    const limit = this.#limits[metric];
    if (this.#used[metric] <= limit) return;
    const { over, unit = "", advice = "" } = RULES[metric];
    throw new LimitError(within([`${over} (limit: ${limit}${unit}).`, advice]));
  }

  /** One document was read. */
  read(json: string): void {
    this.#unmeasured.push(json);
    this.#unmeasuredChars += json.length;
    this.add("documentsRead", 1);
    if (this.#used.bytesRead + this.#unmeasuredChars * BYTES_PER_CHAR_MAX > this.#limits.bytesRead)
      this.#measure();
  }

  /** What is used of each limit, and what is left. */
  metrics(): Record<Metric, { used: number; remaining: number }> {
    this.#measure();
    return Object.fromEntries(
      METRICS.map((metric) => [
        metric,
        { used: this.#used[metric], remaining: Math.max(this.#limits[metric] - this.#used[metric], 0) },
      ]),
    ) as Record<Metric, { used: number; remaining: number }>;
  }

  /** Warnings for the log about what came near its limit. */
  warnings(): string[] {
    const mayBeNear =
      this.#used.bytesRead + this.#unmeasuredChars * BYTES_PER_CHAR_MAX >
      this.#limits.bytesRead * WARNING_SHARE;
    if (mayBeNear) this.#measure();
    const warnings: string[] = [];
    for (const metric of METRICS) {
      if (this.#used[metric] === 0) continue;
      const { near, unit, advice } = RULES[metric];
      const warning = nearLimit(near, this.#used[metric], this.#limits[metric], unit, advice);
      if (warning !== undefined) warnings.push(warning);
    }
    return warnings;
  }

  /** Begins a nested call, whose own limits can only be lower. `leave` ends it. */
  enter(requested: Partial<TransactionLimits> = {}): UsageMark {
    const mark = { used: { ...this.#used }, limits: this.#limits };
    if (Object.keys(requested).length > 0) {
      this.#measure();
      this.#limits = Object.fromEntries(
        METRICS.map((metric) => [
          metric,
          Math.min(
            this.#limits[metric],
            this.#used[metric] + (requested[metric] ?? Number.POSITIVE_INFINITY),
          ),
        ]),
      ) as TransactionLimits;
    }
    return mark;
  }

  /** What a rolled back call has written is not counted; what it has read is. */
  leave({ used, limits }: UsageMark, isRolledBack: boolean): void {
    this.#limits = limits;
    if (!isRolledBack) return;
    for (const metric of METRICS) if (!READ_METRICS.includes(metric)) this.#used[metric] = used[metric];
  }

  #measure(): void {
    const texts = this.#unmeasured;
    this.#unmeasured = [];
    this.#unmeasuredChars = 0;
    for (const text of texts) this.add("bytesRead", measure(JSON.parse(text) as Json, DOCUMENT_DEPTH_MAX));
  }
}

export type UsageMark = { used: TransactionLimits; limits: TransactionLimits };
