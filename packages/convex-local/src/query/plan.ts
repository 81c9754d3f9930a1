import { z } from "zod";
import { UserError } from "../functions/errors.ts";
import { SearchFilters, type SearchPlan, searchPlan } from "../search/search-plan.ts";
import type { Index, Order, Range, Table } from "../store/store.ts";
import { keyAfterPrefix, sortKey } from "../values/sort-key.ts";
import { AnyJson, describe, type Json, kindOf } from "../values/wire.ts";
import { compile, type Expression } from "./filter.ts";

const OPERATORS_MAX = 256;

const Bound = z.object({
  type: z.enum(["Eq", "Gt", "Gte", "Lt", "Lte"]),
  fieldPath: z.string(),
  value: AnyJson,
});
type Bound = z.infer<typeof Bound>;
const OrderName = z.enum(["asc", "desc"]).nullish();
const Operator = z.union([
  z.object({ filter: AnyJson }),
  z.object({ limit: z.number().int().nonnegative("limit must be a non-negative integer") }),
]);

/** A query as `convex/server` serialises it. */
export const QueryJson = z.object({
  source: z.discriminatedUnion("type", [
    z.object({ type: z.literal("FullTableScan"), tableName: z.string(), order: OrderName }),
    z.object({
      type: z.literal("IndexRange"),
      indexName: z.string(),
      range: z.array(Bound),
      order: OrderName,
    }),
    z.object({ type: z.literal("Search"), indexName: z.string(), filters: SearchFilters }),
  ]),
  operators: z.array(Operator).max(OPERATORS_MAX),
});
export type QueryJson = z.infer<typeof QueryJson>;

/** Reads a query that a function sends. Throws ZodError for what is none. */
export const parseQuery = (query: unknown): QueryJson => (isQuery(query) ? query : QueryJson.parse(query));

/** The usual forms, looked at by hand: this runs for every query of every function. */
function isQuery(query: unknown): query is QueryJson {
  const { source, operators } = (query ?? {}) as { source?: Record<string, unknown>; operators?: unknown };
  if (typeof source !== "object" || source === null || !Array.isArray(operators)) return false;
  const { type, order, tableName, indexName, range } = source;
  if (order !== null && order !== "asc" && order !== "desc") return false;
  if (type === "FullTableScan") return typeof tableName === "string" && areOperators(operators);
  if (type !== "IndexRange" || typeof indexName !== "string" || !Array.isArray(range)) return false;
  return range.every(isBound) && areOperators(operators);
}

const BOUND_TYPES = new Set<unknown>(Bound.shape.type.options);

const isBound = (bound: unknown) =>
  typeof bound === "object" &&
  bound !== null &&
  "type" in bound &&
  BOUND_TYPES.has(bound.type) &&
  "fieldPath" in bound &&
  typeof bound.fieldPath === "string";

const areOperators = (operators: unknown[]) =>
  operators.length <= OPERATORS_MAX && operators.every(isOperator);

const isOperator = (operator: unknown) =>
  typeof operator === "object" &&
  operator !== null &&
  ("filter" in operator ||
    ("limit" in operator && Number.isInteger(operator.limit) && (operator.limit as number) >= 0));

export type Step = { kind: "filter"; passes: Expression } | { kind: "limit"; rowsMax: number };

/** A query ready to run: one range of one index, then filters and limits in the order they were written. */
export type Plan = {
  table: Table;
  /** undefined for `by_id`. */
  index: Index | undefined;
  range: Range;
  order: Order;
  steps: Step[];
  /** A search takes the place of the index: its rows are in order of relevance. */
  search?: SearchPlan;
};

export const tableNameOf = ({ source }: QueryJson): string =>
  source.type === "FullTableScan" ? source.tableName : (source.indexName.split(".")[0] ?? "");

/** Throws UserError for an unknown index or bounds that do not fit its fields. */
export function plan(query: QueryJson, table: Table): Plan {
  const steps = query.operators.map(
    (operator): Step =>
      "limit" in operator
        ? { kind: "limit", rowsMax: operator.limit }
        : { kind: "filter", passes: compile(operator.filter) },
  );
  const { source } = query;
  switch (source.type) {
    case "FullTableScan": {
      const index = table.indexes.find(({ name }) => name === "by_creation_time");
      return { table, index, range: rangeOf(table.name, [], []), order: source.order ?? "asc", steps };
    }
    case "IndexRange": {
      const name = source.indexName.slice(source.indexName.indexOf(".") + 1);
      const { index, fields } = indexNamed(table, name);
      const range = rangeOf(source.indexName, fields, source.range);
      return { table, index, range, order: source.order ?? "asc", steps };
    }
    case "Search": {
      const name = source.indexName.slice(source.indexName.indexOf(".") + 1);
      const search = searchPlan(table, name, source.filters);
      const range = { start: new Uint8Array(), end: undefined };
      return { table, index: undefined, range, order: "asc", steps, search };
    }
  }
}

function indexNamed(table: Table, name: string): { index: Index | undefined; fields: string[] } {
  if (name === "by_id") return { index: undefined, fields: ["_id"] };
  const index = table.indexes.find((candidate) => candidate.name === name);
  if (index === undefined) throw new UserError("IndexNotFound", `Index ${table.name}.${name} not found.`);
  return { index, fields: [...index.fields, "_creationTime", "_id"] };
}

/**
 * The key range of index bounds. Equalities, in any order, must cover a prefix of the fields; then at most one
 * field may have a lower and an upper bound. `name` ("table.index") is for messages.
 */
export function rangeOf(name: string, fields: readonly string[], bounds: readonly Bound[]): Range {
  const equal = new Map<string, Json | undefined>();
  let lower: Bound | undefined;
  let upper: Bound | undefined;
  const declared = fields.length > 2 ? fields.slice(0, -2) : fields.slice(0, 1);
  for (const bound of bounds) {
    if (!fields.includes(bound.fieldPath)) {
      throw invalid(
        `The index range included a comparison with "${bound.fieldPath}", but ${name} with fields ` +
          `${JSON.stringify(declared)} doesn't index this field.`,
      );
    }
    const already = (kind: string) =>
      invalid(`Already defined ${kind} bound in index range. Can't add ${printBound(bound)}.`);
    if (bound.type === "Eq") {
      if (equal.has(bound.fieldPath)) throw already("equality");
      if (lower?.fieldPath === bound.fieldPath || upper?.fieldPath === bound.fieldPath)
        throw already("inequality");
      equal.set(bound.fieldPath, boundValue(bound));
      continue;
    }
    if (equal.has(bound.fieldPath)) throw already("equality");
    const isLower = bound.type === "Gt" || bound.type === "Gte";
    if ((isLower ? lower : upper) !== undefined) throw already(isLower ? "lower" : "upper");
    if (isLower) lower = bound;
    else upper = bound;
  }
  if (lower !== undefined && upper !== undefined && lower.fieldPath !== upper.fieldPath) {
    throw invalid(
      `Upper and lower bounds in \`range\` can only be applied to a single index field. This query against index ` +
        `${name} attempted to set a range bound on both "${lower.fieldPath}" and "${upper.fieldPath}". ` +
        "Consider using `filter` instead.",
    );
  }
  const prefixFields = fields.slice(0, equal.size);
  const isInOrder =
    prefixFields.every((field) => equal.has(field)) &&
    [lower, upper].every((bound) => bound === undefined || bound.fieldPath === fields[equal.size]);
  if (!isInOrder) {
    throw invalid(
      `Tried to query index ${name} but the query didn't use the index fields in order. ` +
        `Index fields: ${JSON.stringify(declared)}, query fields: ` +
        `${JSON.stringify(bounds.map(({ fieldPath }) => fieldPath))}. ` +
        "An index range may only begin with equalities on the first index fields, followed by bounds on the next one.",
    );
  }

  const values = prefixFields.map((field) => equal.get(field));
  const withBound = (bound: Bound) => sortKey([...values, boundValue(bound)]);
  const prefix = sortKey(values);
  const start =
    lower === undefined ? prefix : lower.type === "Gte" ? withBound(lower) : keyAfterPrefix(withBound(lower));
  const end =
    upper === undefined
      ? keyAfterPrefix(prefix)
      : upper.type === "Lt"
        ? withBound(upper)
        : keyAfterPrefix(withBound(upper));
  return { start, end };
}

const boundValue = (bound: Bound): Json | undefined =>
  kindOf(bound.value) === "undefined" ? undefined : bound.value;

const SIGNS = { Eq: "==", Gt: ">", Gte: ">=", Lt: "<", Lte: "<=" } as const;
const printBound = (bound: Bound) =>
  `"${bound.fieldPath}" ${SIGNS[bound.type]} ${describe(boundValue(bound))}`;

const invalid = (reason: string) => new UserError("InvalidIndexRange", reason);
