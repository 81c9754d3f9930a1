import type { Database } from "bun:sqlite";
import { createRequire } from "node:module";
import { DIGEST_BYTES } from "../store/follower.ts";

/** `score` is the cosine of the angle to the vector asked for: 1 for the same direction, -1 for the opposite. */
export type Near = { doc: number; score: number };
/** A digest that must stand at a place among the digests of a row. */
export type DigestFilter = { at: number; digest: Uint8Array };
type Find = (
  raw: Database,
  table: string,
  wanted: Float32Array,
  filters: readonly DigestFilter[] | null,
  rowsMax: number,
) => Near[];

const native = new WeakMap<Database, boolean>();

/** Whether sqlite-vec works here: it is an optional package with a binary for some machines. */
export function hasNativeVectors(raw: Database): boolean {
  let isThere = native.get(raw);
  if (isThere === undefined) {
    isThere = loadNativeVectors(raw);
    native.set(raw, isThere);
  }
  return isThere;
}

function loadNativeVectors(raw: Database): boolean {
  try {
    const { getLoadablePath } = createRequire(import.meta.url)("sqlite-vec") as { getLoadablePath(): string };
    raw.loadExtension(getLoadablePath());
    return true;
  } catch (error) {
    // The package is not installed, or its binary is for another machine. The scan below needs neither.
    if (error instanceof Error) return false;
    throw error;
  }
}

/** With the distance function of sqlite-vec. */
export const nativeNearest: Find = (raw, table, wanted, filters, rowsMax) => {
  const { where, values } = conditionOf(filters);
  const vector = new Uint8Array(wanted.buffer, wanted.byteOffset, wanted.byteLength);
  // A vector of zeros has no direction, so no angle: it is as far as one at a right angle.
  const statement = raw.prepare<Near, (Uint8Array | number)[]>(
    `SELECT doc, 1 - ifnull(vec_distance_cosine(vector, ?), 1) AS score FROM ${table} ${where}
     ORDER BY score DESC, doc DESC LIMIT ?`,
  );
  try {
    return statement.all(vector, ...values, rowsMax);
  } finally {
    statement.finalize();
  }
};

/** The same without it: looks at every vector and keeps the best. */
export const scannedNearest: Find = (raw, table, wanted, filters, rowsMax) => {
  const { where, values } = conditionOf(filters);
  const statement = raw.prepare<{ doc: number; vector: Uint8Array }, (Uint8Array | number)[]>(
    `SELECT doc, vector FROM ${table} ${where} ORDER BY doc DESC`,
  );
  const length = Math.sqrt(dot(wanted, wanted));
  const best: Near[] = [];
  try {
    for (const { doc, vector } of statement.iterate(...values)) {
      const floats = floatsOf(vector);
      const lengths = length * Math.sqrt(dot(floats, floats));
      const score = lengths === 0 ? 0 : dot(wanted, floats) / lengths;
      if (best.length >= rowsMax && score <= (best.at(-1)?.score ?? 0)) continue;
      insertSorted(best, { doc, score });
      if (best.length > rowsMax) best.pop();
    }
  } finally {
    statement.finalize();
  }
  return best;
};

/** One of the filters must hold. */
function conditionOf(filters: readonly DigestFilter[] | null) {
  if (filters === null) return { where: "", values: [] };
  const parts = filters.map(({ at }) => `substr(filters, ${at * DIGEST_BYTES + 1}, ${DIGEST_BYTES}) = ?`);
  return {
    where: `WHERE ${parts.length === 0 ? "false" : parts.join(" OR ")}`,
    values: filters.map(({ digest }) => digest),
  };
}

function dot(left: Float32Array, right: Float32Array): number {
  let sum = 0;
  for (let at = 0; at < left.length; at++) sum += (left[at] ?? 0) * (right[at] ?? 0);
  return sum;
}

/** Blobs of SQLite may lie anywhere in memory; floats must lie at a multiple of four. */
const floatsOf = (bytes: Uint8Array) =>
  bytes.byteOffset % 4 === 0
    ? new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4)
    : new Float32Array(bytes.slice().buffer);

/** Keeps the order from best to worst; an equal goes behind. */
function insertSorted(best: Near[], near: Near): void {
  let low = 0;
  let high = best.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((best[middle]?.score ?? 0) >= near.score) low = middle + 1;
    else high = middle;
  }
  best.splice(low, 0, near);
}
