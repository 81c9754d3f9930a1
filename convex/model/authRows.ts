/** better-auth's rows in our tables: its conditions answered through an index, or through a bounded look at the table. */

import { compareValues, type Infer, v } from "convex/values";
import { literals } from "convex-helpers/validators";
import type { Doc, Id } from "../_generated/dataModel";
import type { MutationCtx, QueryCtx } from "../_generated/server";
import { refusal } from "../functions.ts";

export const answerMax = 100;
/** A condition without an index may look at so many rows; a table that outgrew it needs an index. */
const scanMax = 2_000;

export const model = literals("user", "session", "account", "verification");
type Model = Infer<typeof model>;

const scalar = v.union(v.string(), v.number(), v.boolean(), v.null());
export const values = v.record(v.string(), scalar);
export const row = v.record(v.string(), scalar);
export type Row = Infer<typeof row>;

const operator = literals(
  "eq",
  "ne",
  "lt",
  "lte",
  "gt",
  "gte",
  "in",
  "not_in",
  "contains",
  "starts_with",
  "ends_with",
);
export const where = v.array(
  v.object({
    field: v.string(),
    value: v.union(scalar, v.array(v.string()), v.array(v.number())),
    operator: v.optional(operator),
    connector: v.optional(literals("AND", "OR")),
    mode: v.optional(literals("sensitive", "insensitive")),
  }),
);
type Where = Infer<typeof where>;
type Condition = Where[number];

const tables = {
  user: "users",
  session: "sessions",
  account: "accounts",
  verification: "verifications",
} as const satisfies Record<Model, string>;
type Table = (typeof tables)[Model];

type Found = Doc<Table>[];
type LookUp = (ctx: QueryCtx, value: string) => Promise<Found>;

/** Conditions `field = value` that an index answers. */
const lookUps: Record<Model, Record<string, LookUp>> = {
  user: {
    email: (ctx, value) =>
      ctx.db
        .query("users")
        .withIndex("by_email", (range) => range.eq("email", value))
        .take(scanMax),
  },
  session: {
    token: (ctx, value) =>
      ctx.db
        .query("sessions")
        .withIndex("by_token", (range) => range.eq("token", value))
        .take(scanMax),
    userId: (ctx, value) =>
      ctx.db
        .query("sessions")
        .withIndex("by_userId", (range) => range.eq("userId", value))
        .take(scanMax),
  },
  account: {
    userId: (ctx, value) =>
      ctx.db
        .query("accounts")
        .withIndex("by_userId", (range) => range.eq("userId", value))
        .take(scanMax),
    accountId: (ctx, value) =>
      ctx.db
        .query("accounts")
        .withIndex("by_accountId", (range) => range.eq("accountId", value))
        .take(scanMax),
  },
  verification: {
    identifier: (ctx, value) =>
      ctx.db
        .query("verifications")
        .withIndex("by_identifier", (range) => range.eq("identifier", value))
        .take(scanMax),
  },
};

/** Rows that meet the conditions: all of those joined by AND, and at least one of those joined by OR if there are any. */
export async function find(ctx: QueryCtx, model: Model, where: Where): Promise<Row[]> {
  const all = where.filter(({ connector }) => connector !== "OR");
  const any = where.filter(({ connector }) => connector === "OR");
  const candidates = await candidatesOf(ctx, model, all, where.length > 0);
  return candidates
    .map(rowOf)
    .filter(
      (row) =>
        all.every((each) => isMet(each, row)) && (any.length === 0 || any.some((each) => isMet(each, row))),
    );
}

/** A set that surely holds every row that meets `all`. */
async function candidatesOf(ctx: QueryCtx, model: Model, all: Where, isFiltered: boolean): Promise<Found> {
  for (const { field, value, operator } of all) {
    if ((operator ?? "eq") !== "eq" || typeof value !== "string") continue;
    if (field === "id") {
      const row = await byId(ctx, model, value);
      return row === null ? [] : [row];
    }
    const lookUp = lookUps[model][field];
    if (lookUp !== undefined) return await lookUp(ctx, value);
  }
  const rows: Found = await ctx.db.query(tables[model]).take(scanMax);
  if (isFiltered && rows.length === scanMax)
    throw refusal("internal", `${model} needs an index for ${all.map(({ field }) => field).join(", ")}`);
  return rows;
}

async function byId(ctx: QueryCtx, model: Model, text: string): Promise<Doc<Table> | null> {
  const id: Id<Table> | null = ctx.db.normalizeId(tables[model], text);
  return id === null ? null : await ctx.db.get(id);
}

const rowOf = ({ _id, _creationTime, ...fields }: Doc<Table>): Row => ({ ...fields, id: _id });

function isMet({ field, value, operator = "eq", mode }: Condition, row: Row): boolean {
  const fold = (given: unknown) =>
    mode === "insensitive" && typeof given === "string" ? given.toLowerCase() : given;
  // A field that was never set and one set to null are the same to better-auth.
  const actual = fold(row[field] ?? null);
  const wanted = Array.isArray(value) ? value.map(fold) : fold(value);
  const order = orderOf(actual, wanted);
  switch (operator) {
    case "eq":
      return actual === wanted;
    case "ne":
      return actual !== wanted;
    case "in":
      return Array.isArray(wanted) ? wanted.includes(actual) : actual === wanted;
    case "not_in":
      return Array.isArray(wanted) ? !wanted.includes(actual) : actual !== wanted;
    case "lt":
      return order !== undefined && order < 0;
    case "lte":
      return order !== undefined && order <= 0;
    case "gt":
      return order !== undefined && order > 0;
    case "gte":
      return order !== undefined && order >= 0;
    case "contains":
      return typeof actual === "string" && actual.includes(String(wanted));
    case "starts_with":
      return typeof actual === "string" && actual.startsWith(String(wanted));
    case "ends_with":
      return typeof actual === "string" && actual.endsWith(String(wanted));
  }
}

/** Numbers with numbers, strings with strings; nothing else has an order. */
function orderOf(a: unknown, b: unknown): number | undefined {
  if (typeof a === "number" && typeof b === "number") return a - b;
  if (typeof a === "string" && typeof b === "string") return a < b ? -1 : a > b ? 1 : 0;
  return undefined;
}

export function sorted(rows: Row[], by: { field: string; direction: "asc" | "desc" } | undefined): Row[] {
  if (by === undefined) return rows;
  const sign = by.direction === "asc" ? 1 : -1;
  return rows.toSorted((a, b) => sign * compareValues(a[by.field] ?? undefined, b[by.field] ?? undefined));
}

export async function create(ctx: MutationCtx, model: Model, data: Row): Promise<Row> {
  if ("id" in data) throw refusal("request.invalid", "ids are given by Convex");
  // The schema checks the fields: better-auth's own types are not known here.
  const id = await ctx.db.insert(tables[model], data as never);
  return await present(ctx, id);
}

export async function change(ctx: MutationCtx, model: Model, row: Row, update: Row): Promise<Row> {
  const { id: _kept, ...fields } = update;
  const id = idOf(ctx, model, row);
  await ctx.db.patch(id, fields as never);
  return await present(ctx, id);
}

export async function removeAll(ctx: MutationCtx, model: Model, rows: readonly Row[]): Promise<void> {
  for (const row of rows) await ctx.db.delete(idOf(ctx, model, row));
}

async function present(ctx: QueryCtx, id: Id<Table>): Promise<Row> {
  const row = await ctx.db.get(id);
  if (row === null) throw new Error(`${id} was written and is not there`);
  return rowOf(row);
}

function idOf(ctx: QueryCtx, model: Model, row: Row): Id<Table> {
  const id: Id<Table> | null = ctx.db.normalizeId(tables[model], String(row.id));
  if (id === null) throw new Error(`${row.id} is no ${model}`);
  return id;
}
