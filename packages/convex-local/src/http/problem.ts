import { UserError } from "../functions/errors.ts";

/** An answer other than success, of the engine or of the door before it, in the shape that Convex clients read: `{code, message}`. */
export class HttpProblem extends Error {
  readonly status: number;
  readonly code: string;

  constructor(status: number, code: string, message: string) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

const STATUS_OF: Record<string, number> = {
  ExportNotFound: 404,
  TooManyConcurrentRequests: 503,
  TooManyWrites: 429,
  StorageTokenInvalid: 401,
  StorageTokenExpired: 401,
  InvalidToken: 401,
};

/** `undefined` for an error that is ours and nobody's request's. */
export function toProblem(error: unknown): HttpProblem | undefined {
  if (error instanceof HttpProblem) return error;
  if (error instanceof UserError)
    return new HttpProblem(STATUS_OF[error.code] ?? 400, error.code, error.message);
  return undefined;
}
