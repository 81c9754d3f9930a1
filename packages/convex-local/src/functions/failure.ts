import { convexToJson, type JSONValue, jsonToConvex, type Value } from "convex/values";
import type { Json } from "../values/wire.ts";
import { describe } from "../values/wire.ts";
import { UserError } from "./errors.ts";

/** How a function ended when it did not return: what its caller is told, and the error itself for the log. */
export class FunctionFailure extends Error {
  /** Data of a ConvexError, which always reaches the caller. */
  readonly data: Json | undefined;

  constructor(message: string, data: Json | undefined, cause: unknown) {
    super(message, { cause });
    this.data = data;
  }
}

const CONVEX_ERROR = Symbol.for("ConvexError");

/** Whether `convex/server` has already turned the data of this error into JSON text. */
const isConvexError = (thrown: unknown): thrown is Error & { data: unknown } =>
  typeof thrown === "object" && thrown !== null && CONVEX_ERROR in thrown;

/** What a function threw, as its caller gets it. */
export function toFailure(thrown: unknown): FunctionFailure {
  if (thrown instanceof FunctionFailure) return thrown;
  if (thrown instanceof UserError) {
    const isOwnText = thrown.code === "FunctionNotFound";
    return new FunctionFailure(
      isOwnText ? thrown.message : `${thrown.code}: ${thrown.message}`,
      undefined,
      thrown,
    );
  }
  if (isConvexError(thrown)) {
    const data = errorData(thrown.data);
    const text = typeof data === "string" ? data : describe(data);
    return new FunctionFailure(`Uncaught ConvexError: ${text}`, data, thrown);
  }
  if (thrown instanceof Error) {
    return new FunctionFailure(`Uncaught ${thrown.name}: ${thrown.message}`, undefined, thrown);
  }
  return new FunctionFailure(`Uncaught ${String(thrown)}`, undefined, thrown);
}

function errorData(data: unknown): Json {
  if (typeof data === "string") {
    try {
      return JSON.parse(data) as Json;
    } catch (error) {
      // Thrown where `convex/server` had no chance to serialise it, so the text is the data.
      if (error instanceof SyntaxError) return data;
      throw error;
    }
  }
  return convexToJson((data ?? null) as Value) as Json;
}

/** The error for the function that made a nested call; `convex/server` rebuilds a ConvexError from `data`. */
export function toSyscallError(failure: FunctionFailure): Error {
  const { cause } = failure;
  // A refusal of the engine keeps its code in the text: "ArgumentValidationError: …".
  const message = cause instanceof Error && !(cause instanceof UserError) ? cause.message : failure.message;
  const error = new Error(message, { cause });
  return failure.data === undefined ? error : Object.assign(error, { data: failure.data });
}

/** The data of a failure as user code throws it. */
export const failureData = (failure: FunctionFailure): Value | undefined =>
  failure.data === undefined ? undefined : jsonToConvex(failure.data as JSONValue);
