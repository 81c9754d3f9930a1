import { z } from "zod";
import { UserError } from "../functions/errors.ts";
import type { Transaction } from "../functions/transaction.ts";
import { AnyJson, isObject, type Json, kindOf } from "../values/wire.ts";
import type { Condition } from "./vector-index.ts";

const RESULTS_MAX = 256;
const RESULTS_DEFAULT = 10;
const CONDITIONS_MAX = 64;

const VectorQuery = z.object({
  /** "table.index" */
  indexName: z.string(),
  limit: z.number().nullish(),
  vector: z.array(z.number("a vector is made of finite numbers")),
  expressions: AnyJson.nullish(),
});

export type Found = { _id: string; _score: number };

/** Answers `ctx.vectorSearch` of an action. Throws UserError. */
export function vectorSearch(transaction: Transaction, component: string, query: unknown): Found[] {
  const { indexName, limit, vector, expressions } = VectorQuery.parse(query);
  const rowsMax = limit ?? RESULTS_DEFAULT;
  if (!Number.isInteger(rowsMax) || rowsMax < 1 || rowsMax > RESULTS_MAX) {
    throw new UserError(
      "InvalidVectorSearch",
      `The limit of a vector search is 1 to ${RESULTS_MAX}, not ${rowsMax}`,
    );
  }
  const [tableName = "", name = ""] = indexName.split(".", 2);
  const index = transaction
    .table(component, tableName)
    ?.companions.find((candidate) => candidate.name === name);
  if (index?.kind !== "vector") {
    throw new UserError("IndexNotFound", `Vector index ${indexName} not found.`);
  }
  const conditions =
    expressions === null || expressions === undefined
      ? null
      : conditionsOf(expressions, index.config.filterFields);
  return index.nearest(vector, conditions, rowsMax).flatMap(({ doc, score }) => {
    const id = index.documentId(doc);
    return id === undefined ? [] : [{ _id: id, _score: score }];
  });
}

/** The equalities of an expression made of `q.eq` and `q.or`. */
function conditionsOf(expression: Json, filterFields: readonly string[]): Condition[] {
  const conditions: Condition[] = [];
  const visit = (node: Json | undefined) => {
    if (!isObject(node)) throw invalid("a filter is made of q.eq and q.or");
    if (Array.isArray(node.$or)) {
      for (const member of node.$or) visit(member);
      return;
    }
    const [left, right] = Array.isArray(node.$eq) ? node.$eq : [];
    if (!isObject(left) || typeof left.$field !== "string" || !isObject(right) || !("$literal" in right)) {
      throw invalid("a filter is made of q.eq(field, value) and q.or");
    }
    if (!filterFields.includes(left.$field)) {
      throw invalid(`"${left.$field}" is not among the filter fields ${JSON.stringify(filterFields)}`);
    }
    const value = right.$literal;
    conditions.push({ field: left.$field, value: kindOf(value) === "undefined" ? undefined : value });
    if (conditions.length > CONDITIONS_MAX)
      throw invalid(`a filter has at most ${CONDITIONS_MAX} equalities`);
  };
  visit(expression);
  return conditions;
}

const invalid = (message: string) => new UserError("InvalidVectorSearch", `Vector search: ${message}`);
