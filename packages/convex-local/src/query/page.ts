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

/** A page that has looked at more rows than this should be split by the client. */
const SPLIT_RECOMMENDED_ROWS = 16_000;
const SPLIT_REQUIRED_ROWS = 28_000;

export function readPage(plan: Plan, request: PageRequest, source: Source): Page {
  if (request.start?.kind === "end") {
    return { documents: [], isDone: true, end: { kind: "end" }, split: null, status: null };
  }
  const range = pageRange(plan, request);
  const stream = new QueryStream({ ...plan, range }, source);
  const documents: string[] = [];
  const positions: Position[] = [];
  let bytes = 0;
  let isCut = false;
  for (;;) {
    if (request.end === null) {
      if (documents.length >= request.pageRows) isCut = true;
      if (request.rowsReadMax !== null && stream.rowsRead >= request.rowsReadMax) isCut = true;
      if (request.bytesReadMax !== null && bytes >= request.bytesReadMax) isCut = true;
      if (isCut) break;
    }
    const looked = stream.look();
    if (looked === undefined) break;
    const { row, isPassing } = looked;
    bytes += row.json.length;
    if (!isPassing) continue;
    documents.push(row.json);
    positions.push({ kind: "after", key: row.key });
  }
  stream.close();

  const status =
    stream.rowsRead > SPLIT_REQUIRED_ROWS
      ? "SplitRequired"
      : stream.rowsRead > SPLIT_RECOMMENDED_ROWS
        ? "SplitRecommended"
        : null;
  const split = status === null ? null : (positions[Math.floor(positions.length / 2)] ?? null);
  if (request.end !== null) {
    return { documents, isDone: request.end.kind === "end", end: request.end, split, status };
  }
  const last = stream.lastKey;
  if (!isCut || last === undefined) return { documents, isDone: true, end: { kind: "end" }, split, status };
  return { documents, isDone: false, end: { kind: "after", key: last }, split, status };
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
