import { z } from "zod";
import { UserError } from "../functions/errors.ts";
import type { Range, Row, Table } from "../store/store.ts";
import { compareKeys, sortKey } from "../values/sort-key.ts";
import { AnyJson, kindOf } from "../values/wire.ts";
import type { Filter, Match, SearchIndex } from "./search-index.ts";

const RESULTS_MAX = 1024;
const FILTERS_MAX = 8;

export const SearchFilters = z.array(
  z.discriminatedUnion("type", [
    z.object({ type: z.literal("Search"), fieldPath: z.string(), value: z.string() }),
    z.object({ type: z.literal("Eq"), fieldPath: z.string(), value: AnyJson }),
  ]),
);
export type SearchFilters = z.infer<typeof SearchFilters>;

/** A search ready to run: its rows come best match first. */
export class SearchPlan {
  readonly index: SearchIndex;
  readonly readRange: Range;
  readonly #text: string;
  readonly #filters: Filter[];
  #matches: Match[] = [];
  #matchedAt = -1;

  constructor(index: SearchIndex, text: string, filters: Filter[]) {
    this.index = index;
    this.#text = text;
    this.#filters = filters;
    this.readRange = index.readRange(filters);
  }

  /**
   * Up to `rowsMax` rows with keys in the range. What has been found is kept until `writeCount` says that the
   * transaction has written. Throws UserError when more is asked for than a search may give.
   */
  rows(range: Range, rowsMax: number, writeCount: number): Row[] {
    if (this.#matchedAt !== writeCount) {
      this.#matches = this.index.find(this.#text, this.#filters, RESULTS_MAX + 1);
      this.#matchedAt = writeCount;
    }
    const rows: Row[] = [];
    for (const [at, match] of this.#matches.entries()) {
      if (rows.length >= rowsMax) break;
      // Equals come newest first, and a newer document has a higher row.
      const key = sortKey([match.score, -match.doc]);
      if (compareKeys(key, range.start) < 0) continue;
      if (range.end !== undefined && compareKeys(key, range.end) >= 0) break;
      if (at >= RESULTS_MAX) {
        throw new UserError(
          "SearchResultsLimit",
          `Search query against ${this.index.name} matched more than ${RESULTS_MAX} documents. ` +
            "Use .take(n) or .paginate() to read fewer of them.",
        );
      }
      const json = this.index.document(match.doc);
      if (json !== undefined) rows.push({ key, json });
    }
    return rows;
  }
}

/** Throws UserError for an unknown index, and for filters that do not fit it. */
export function searchPlan(table: Table, name: string, filters: SearchFilters): SearchPlan {
  const index = table.companions.find((candidate) => candidate.name === name);
  if (index?.kind !== "search")
    throw new UserError("IndexNotFound", `Search index ${table.name}.${name} not found.`);
  const { searchField, filterFields } = index.config;
  const invalid = (message: string) =>
    new UserError("InvalidSearch", `Search query against ${table.name}.${name}: ${message}`);

  const [search, ...more] = filters.filter((filter) => filter.type === "Search");
  if (search === undefined || more.length > 0) throw invalid("call .search(field, text) exactly once");
  if (search.fieldPath !== searchField) {
    throw invalid(`it searches "${search.fieldPath}", but the search field is "${searchField}"`);
  }
  const equal = filters.filter((filter) => filter.type === "Eq");
  if (equal.length > FILTERS_MAX) throw invalid(`it has more than ${FILTERS_MAX} filters`);
  for (const { fieldPath } of equal) {
    if (!filterFields.includes(fieldPath)) {
      throw invalid(`"${fieldPath}" is not among its filter fields ${JSON.stringify(filterFields)}`);
    }
  }
  const conditions = equal.map(({ fieldPath, value }) => ({
    field: fieldPath,
    value: kindOf(value) === "undefined" ? undefined : value,
  }));
  return new SearchPlan(index, search.value, conditions);
}
