import { LimitError } from "../functions/errors.ts";
import { TRANSACTION_LIMITS } from "../functions/limits.ts";
import type { Range } from "../store/store.ts";
import { compareKeys } from "../values/sort-key.ts";
import type { Position } from "./cursor.ts";
import type { Plan } from "./plan.ts";
import { QueryStream, rangeAfter, type Source } from "./stream.ts";

export type PageRequest = {
  start: Position | null;
  /** When given, the page runs to here whatever its size: how a live page keeps its end. */
  end: Position | null;
  pageRows: number;
  rowsReadMax: number | null;
  bytesReadMax: number | null;
};

export type Page = {
  /** Documents as JSON texts. */
  documents: string[];
  isDone: boolean;
  end: Position;
  split: Position | null;
  status: "SplitRecommended" | "SplitRequired" | null;
};

/** Past these shares of what a page may read, or past so many rows, the client should split it. */
const SPLIT_SHARE = 0.75;
const SPLIT_RECOMMENDED_ROWS = 6144;

/**
 * One page. A limit of the transaction ends the page instead of failing it, once there is a place to go on
 * from; the function fails at its next read.
 */
export function readPage(plan: Plan, request: PageRequest, source: Source): Page {
  if (request.start?.kind === "end") {
    return { documents: [], isDone: true, end: { kind: "end" }, split: null, status: null };
  }
  const isPinned = request.end !== null;
  const rowsMax = request.rowsReadMax ?? Number.POSITIVE_INFINITY;
  const bytesMax = request.bytesReadMax ?? Number.POSITIVE_INFINITY;
  const stream = new QueryStream({ ...plan, range: pageRange(plan, request) }, source);
  const documents: string[] = [];
  /** After each row that was looked at, those that a filter dropped too. */
  const positions: Position[] = [];
  let bytes = 0;
  let isCut = false;
  let isOverLimit = false;
  for (;;) {
    if (!isPinned) {
      isCut = documents.length >= request.pageRows || stream.rowsRead >= rowsMax || bytes >= bytesMax;
      if (isCut) break;
    }
    let looked: ReturnType<QueryStream["look"]>;
    try {
      looked = stream.look();
    } catch (error) {
      if (!(error instanceof LimitError) || (request.start === null && positions.length === 0)) throw error;
      isOverLimit = true;
      break;
    }
    if (looked === undefined) break;
    bytes += looked.row.json.length;
    positions.push({ kind: "after", key: looked.row.key });
    if (looked.isPassing) documents.push(looked.row.json);
  }
  stream.close();

  const isLarge =
    stream.rowsRead > SPLIT_RECOMMENDED_ROWS ||
    stream.rowsRead > SPLIT_SHARE * Math.min(rowsMax, TRANSACTION_LIMITS.documentsRead) ||
    bytes > SPLIT_SHARE * Math.min(bytesMax, TRANSACTION_LIMITS.bytesRead);
  const status = isOverLimit ? "SplitRequired" : isLarge ? "SplitRecommended" : null;
  const split = positions.length > 2 ? (positions[Math.floor(positions.length / 2)] ?? null) : null;
  if (request.end !== null) {
    return { documents, isDone: request.end.kind === "end", end: request.end, split, status };
  }
  if (!isCut && !isOverLimit) return { documents, isDone: true, end: { kind: "end" }, split, status };
  // A page that was cut before its first row goes on from where it began.
  const end = positions.at(-1) ?? request.start ?? { kind: "end" };
  return { documents, isDone: end.kind === "end", end, split, status };
}

function pageRange(plan: Plan, { start, end }: PageRequest): Range {
  let range = plan.range;
  if (start?.kind === "after") range = clamp(rangeAfter(range, start.key, plan), plan.range);
  if (end?.kind === "after") {
    // Up to and including the row of the end cursor: what is not after it.
    const rest = clamp(rangeAfter(plan.range, end.key, plan), plan.range);
    range =
      plan.order === "asc"
        ? { start: range.start, end: rest.start }
        : { start: rest.end ?? range.start, end: range.end };
  }
  return range;
}

/** A cursor can only narrow the range of its query. */
function clamp(range: Range, outer: Range): Range {
  const start = compareKeys(range.start, outer.start) < 0 ? outer.start : range.start;
  if (outer.end === undefined) return { start, end: range.end };
  const end = range.end === undefined || compareKeys(range.end, outer.end) > 0 ? outer.end : range.end;
  return { start, end };
}
