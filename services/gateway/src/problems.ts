/** Every error leaves as application/problem+json (RFC 9457) with the row's status. */
import { type ErrorCode, Failure, type Issue, toFailure, toProblem } from "@tyto/contracts";
import { HTTPException } from "hono/http-exception";
import type { z } from "zod";

/** What a client waits before it repeats a request that may succeed later, unless the failure knows better. */
const retryAfterS = 5;

export function problemResponse(failure: Failure, requestId?: string, more: object = {}): Response {
  const { http, retry } = failure.row;
  const waitS = failure.retryAfterS ?? (retry && http !== 500 ? retryAfterS : undefined);
  return Response.json(
    { ...toProblem(failure, requestId), ...more },
    {
      status: http,
      headers: {
        "content-type": "application/problem+json",
        ...(waitS === undefined ? {} : { "retry-after": String(waitS) }),
        ...(http === 401 ? { "www-authenticate": 'Bearer realm="tyto"' } : {}),
      },
    },
  );
}

/** Whatever was thrown while a request was handled. */
export function failureOf(error: unknown): Failure {
  if (!(error instanceof HTTPException)) return toFailure(error);
  const code: ErrorCode =
    error.status === 415
      ? "request.unsupported-type"
      : error.status === 413
        ? "request.too-large"
        : error.status < 500
          ? "request.invalid"
          : "internal";
  return new Failure(code, error.message, {
    cause: error,
    ...(code === "request.invalid" ? { hint: "The body is not valid JSON" } : {}),
  });
}

/** How many wrong places one answer names. */
const issuesMax = 50;

/** What zod found, with paths as a person writes them: `to[0].address`. */
export function invalidRequest(error: z.ZodError): Failure {
  return new Failure("request.invalid", "schema", { issues: issuesOf(error).slice(0, issuesMax) });
}

function issuesOf(error: z.ZodError): Issue[] {
  return error.issues.flatMap((issue): Issue[] => {
    // Of a union, the branch that came furthest says best what is wrong.
    if (issue.code === "invalid_union") {
      const branches = issue.errors.map((branch) =>
        branch.map((inner) => ({ ...inner, path: [...issue.path, ...inner.path] })),
      );
      const deepest = branches.toSorted((one, other) => depth(other) - depth(one))[0];
      if (deepest !== undefined && deepest.length > 0)
        return deepest.map((inner) => ({ path: pathOf(inner.path), problem: problemOf(inner) }));
    }
    if (issue.code === "unrecognized_keys")
      return issue.keys.map((key) => ({ path: pathOf([...issue.path, key]), problem: "is not known here" }));
    return [{ path: pathOf(issue.path), problem: problemOf(issue) }];
  });
}

/** In words of the API: zod speaks of its input, and calls what is not there undefined. */
function problemOf({ code, message }: { code: string | undefined; message: string }): string {
  const [, expected, received] = /^Invalid input: expected (\w+), received (\w+)$/.exec(message) ?? [];
  if (code !== "invalid_type" || expected === undefined) return message;
  return received === "undefined"
    ? "is missing"
    : `must be ${nounOf[expected] ?? expected}, not ${nounOf[received ?? ""] ?? received}`;
}

const nounOf: Readonly<Record<string, string>> = {
  ...{ string: "text", number: "a number", int: "a whole number", boolean: "true or false" },
  ...{ array: "a list", object: "an object" },
};

const depth = (branch: readonly { path: readonly PropertyKey[] }[]) =>
  Math.max(0, ...branch.map(({ path }) => path.length));

const pathOf = (path: readonly PropertyKey[]) =>
  path.reduce<string>(
    (text, part) =>
      typeof part === "number" ? `${text}[${part}]` : text === "" ? String(part) : `${text}.${String(part)}`,
    "",
  );
