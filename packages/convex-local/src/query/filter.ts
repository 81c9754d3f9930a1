import { UserError } from "../functions/errors.ts";
import { compareValues } from "../values/sort-key.ts";
import {
  fieldAt,
  fitsInt64,
  isObject,
  type Json,
  type JsonObject,
  kindOf,
  readFloat64,
  readInt64,
  writeFloat64,
  writeInt64,
} from "../values/wire.ts";

type Value = Json | undefined;
/** A filter expression made ready to be asked about many documents. */
export type Expression = (document: JsonObject) => Value;

const COMPARISONS: Record<string, (order: number) => boolean> = {
  $eq: (order) => order === 0,
  $neq: (order) => order !== 0,
  $lt: (order) => order < 0,
  $lte: (order) => order <= 0,
  $gt: (order) => order > 0,
  $gte: (order) => order >= 0,
};

const ARITHMETIC: Record<string, [(l: bigint, r: bigint) => bigint, (l: number, r: number) => number]> = {
  $add: [(l, r) => l + r, (l, r) => l + r],
  $sub: [(l, r) => l - r, (l, r) => l - r],
  $mul: [(l, r) => l * r, (l, r) => l * r],
  $div: [(l, r) => l / r, (l, r) => l / r],
  $mod: [(l, r) => l % r, (l, r) => l % r],
};

/** Compiles an expression of `q.eq(…)` and its siblings. Throws UserError for an unknown form. */
export function compile(expression: Json | undefined): Expression {
  if (!isObject(expression)) throw malformed(expression);
  const [entry, ...more] = Object.entries(expression);
  if (entry === undefined || more.length > 0) throw malformed(expression);
  const [operator, operand] = entry;

  if (operator === "$literal") {
    const literal = kindOf(operand) === "undefined" ? undefined : operand;
    return () => literal;
  }
  if (operator === "$field") {
    if (typeof operand !== "string") throw malformed(expression);
    return (document) => fieldAt(document, operand);
  }
  if (operator === "$and" || operator === "$or") {
    if (!Array.isArray(operand)) throw malformed(expression);
    const members = operand.map(compile);
    const isAnd = operator === "$and";
    return (document) =>
      isAnd
        ? members.every((member) => truth(member(document)))
        : members.some((member) => truth(member(document)));
  }
  if (operator === "$not") {
    const member = compile(operand);
    return (document) => !truth(member(document));
  }
  if (operator === "$neg") {
    const member = compile(operand);
    return (document) => negate(member(document));
  }

  if (!Array.isArray(operand) || operand.length !== 2) throw malformed(expression);
  const left = compile(operand[0]);
  const right = compile(operand[1]);
  const comparison = COMPARISONS[operator];
  if (comparison !== undefined) {
    return (document) => comparison(order(left(document), right(document)));
  }
  const arithmetic = ARITHMETIC[operator];
  if (arithmetic === undefined) throw malformed(expression);
  return (document) => calculate(operator, arithmetic, left(document), right(document));
}

/** A filter lets a document pass only when it says `true`. */
export function truth(value: Value): boolean {
  if (typeof value === "boolean") return value;
  throw new UserError("InvalidFilter", `A filter must give a boolean, this one gave ${kindOf(value)}`);
}

function order(left: Value, right: Value): number {
  if (typeof left === "string" && typeof right === "string" && left === right) return 0;
  return compareValues(left, right);
}

function negate(value: Value): Value {
  const kind = kindOf(value);
  if (kind === "int64") return int64("$neg", -readInt64(value as Json));
  if (kind === "float64") return writeFloat64(-readFloat64(value as Json));
  throw new UserError("InvalidFilter", `Cannot negate ${kind}`);
}

function calculate(
  operator: string,
  [onIntegers, onFloats]: [(l: bigint, r: bigint) => bigint, (l: number, r: number) => number],
  left: Value,
  right: Value,
): Value {
  const kinds = [kindOf(left), kindOf(right)];
  if (kinds.every((kind) => kind === "int64")) {
    const divisor = readInt64(right as Json);
    if (divisor === 0n && (operator === "$div" || operator === "$mod")) {
      throw new UserError("InvalidFilter", "Division by zero in a filter");
    }
    return int64(operator, onIntegers(readInt64(left as Json), divisor));
  }
  if (kinds.every((kind) => kind === "float64")) {
    return writeFloat64(onFloats(readFloat64(left as Json), readFloat64(right as Json)));
  }
  throw new UserError("InvalidFilter", `Cannot apply ${operator} to ${kinds.join(" and ")}`);
}

function int64(operator: string, value: bigint): Json {
  if (!fitsInt64(value)) throw new UserError("InvalidFilter", `${operator} overflows int64`);
  return writeInt64(value);
}

const malformed = (expression: Json | undefined) =>
  new UserError("InvalidFilter", `Unknown filter expression ${JSON.stringify(expression)}`);
