/**
 * The one error table. HTTP status, SMTP reply, whether trying again can help, and the words a stranger may read all
 * come from the row; nothing else in the system decides any of them.
 */

/** `smtp` is the basic and the enhanced status code (RFC 5321 §4.2, RFC 3463). `say` is public and names no configuration. */
export type ErrorRow = { retry: boolean; http: number; smtp: readonly [number, string]; say: string };

export const errors = {
  "request.invalid": { retry: false, http: 400, smtp: [501, "5.5.4"], say: "The request is not valid" },
  "request.unauthenticated": {
    retry: false,
    http: 401,
    smtp: [530, "5.7.0"],
    say: "Authentication is required",
  },
  "request.forbidden": {
    retry: false,
    http: 403,
    smtp: [550, "5.7.1"],
    say: "This key or account may not do that",
  },
  "request.too-large": {
    retry: false,
    http: 413,
    smtp: [552, "5.3.4"],
    say: "The message is larger than allowed",
  },
  "request.unsupported-type": {
    retry: false,
    http: 415,
    smtp: [501, "5.5.4"],
    say: "Send the body as application/json",
  },
  "resource.unknown": {
    retry: false,
    http: 404,
    smtp: [550, "5.1.1"],
    say: "There is nothing at this address",
  },
  "method.unknown": {
    retry: false,
    http: 405,
    smtp: [502, "5.5.1"],
    say: "This method is not available here",
  },
  "message.unknown": { retry: false, http: 404, smtp: [550, "5.1.1"], say: "No message has this id" },
  "message.already-sent": {
    retry: false,
    http: 409,
    smtp: [554, "5.5.0"],
    say: "The message has left already",
  },
  "idempotency.conflict": {
    retry: false,
    http: 409,
    smtp: [554, "5.5.0"],
    say: "This Idempotency-Key was used with another body",
  },
  "idempotency.in-progress": {
    retry: true,
    http: 429,
    smtp: [451, "4.5.0"],
    say: "A request with this Idempotency-Key is still running",
  },
  "domain.unknown": {
    retry: false,
    http: 422,
    smtp: [550, "5.7.1"],
    say: "The domain is not set up here",
  },
  "bulk.refused": {
    retry: false,
    http: 422,
    smtp: [550, "5.7.1"],
    say: "Bulk mail has to keep the large receivers' rules for senders",
  },
  "domain.exists": { retry: false, http: 409, smtp: [554, "5.5.0"], say: "This domain is set up already" },
  "recipient.suppressed": {
    retry: false,
    http: 422,
    smtp: [550, "5.1.1"],
    say: "Every recipient is on the suppression list",
  },
  "recipient.unknown": { retry: false, http: 404, smtp: [550, "5.1.1"], say: "No such recipient here" },
  "relay.refused": { retry: false, http: 403, smtp: [550, "5.7.1"], say: "This server relays no mail" },
  "return-path.invalid": {
    retry: false,
    http: 403,
    smtp: [550, "5.7.1"],
    say: "This address does not take mail",
  },
  "content.infected": { retry: false, http: 422, smtp: [550, "5.7.0"], say: "The message contains malware" },
  "content.malformed": { retry: false, http: 422, smtp: [550, "5.6.0"], say: "The message cannot be read" },
  "limit.exceeded": {
    retry: true,
    http: 429,
    smtp: [451, "4.7.1"],
    say: "Too many requests; try again later",
  },
  "setup.done": {
    retry: false,
    http: 409,
    smtp: [554, "5.5.0"],
    say: "The administrator account exists already",
  },
  "model.off": { retry: false, http: 501, smtp: [550, "5.3.3"], say: "No language model is configured" },
  "upstream.refused": {
    retry: false,
    http: 502,
    smtp: [554, "5.3.0"],
    say: "The provider refused the request",
  },
  "upstream.down": { retry: true, http: 503, smtp: [451, "4.3.0"], say: "Please try again in a moment" },
  "storage.full": { retry: true, http: 503, smtp: [452, "4.3.1"], say: "No room for more mail right now" },
  internal: { retry: true, http: 500, smtp: [451, "4.3.0"], say: "Something went wrong here" },
} as const satisfies Record<string, ErrorRow>;

export type ErrorCode = keyof typeof errors;

/** One wrong place in a request: `path` as in `to[0].address`, `problem` in words. */
export type Issue = { path: string; problem: string };

/**
 * The only error class that carries a meaning across a boundary. `detail` is private: it is logged, never sent.
 * `hint` is public and says what to do about it; `issues` lists the wrong fields of a request.
 */
export class Failure extends Error {
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  readonly issues: readonly Issue[];
  readonly retryAfterS: number | undefined;

  constructor(
    code: ErrorCode,
    detail: string,
    options: { cause?: unknown; hint?: string; issues?: readonly Issue[]; retryAfterS?: number } = {},
  ) {
    super(detail, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "Failure";
    this.code = code;
    this.hint = options.hint;
    this.issues = options.issues ?? [];
    this.retryAfterS = options.retryAfterS;
  }

  get row(): ErrorRow {
    return errors[this.code];
  }
}

/** What was thrown, as a Failure: an unknown error is `internal`, because deferring is recoverable and losing is not. */
export function toFailure(error: unknown): Failure {
  if (error instanceof Failure) return error;
  return new Failure("internal", error instanceof Error ? error.message : String(error), { cause: error });
}

/** RFC 9457 problem details, ready for `application/problem+json`. `instance` is the request id. */
export type Problem = {
  type: string;
  title: string;
  status: number;
  code: ErrorCode;
  detail?: string;
  instance?: string;
  errors?: readonly Issue[];
};

export function toProblem(failure: Failure, instance?: string): Problem {
  return {
    type: `urn:tyto:error:${failure.code}`,
    title: failure.row.say,
    status: failure.row.http,
    code: failure.code,
    ...(failure.hint === undefined ? {} : { detail: failure.hint }),
    ...(instance === undefined ? {} : { instance }),
    ...(failure.issues.length === 0 ? {} : { errors: failure.issues }),
  };
}

/** One SMTP reply line for the row: `550 5.1.1 No such recipient here`. */
export function toSmtpReply(failure: Failure): { code: number; enhanced: string; text: string } {
  const [code, enhanced] = failure.row.smtp;
  return { code, enhanced, text: failure.hint ? `${failure.row.say}: ${failure.hint}` : failure.row.say };
}
