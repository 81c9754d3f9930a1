/** An error that the caller of a function is told about as it stands: bad arguments, unknown names, limits. */
export class UserError extends Error {
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.name = code;
    this.code = code;
  }
}

/** Thrown when a function exceeds one of the limits of `limits.ts`. */
export class LimitError extends UserError {
  constructor(message: string) {
    super("LimitExceeded", message);
  }
}
