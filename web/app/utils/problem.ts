import type { ErrorCode, Issue } from "@tyto/contracts";
import { isRecord, textOf } from "./record.ts";

/** What went wrong with a request, from any part of the gateway, in one shape. `code` selects the words on the page. */
export type RequestProblem = {
  status: number;
  code: ErrorCode | "network" | "sign-in.wrong";
  title: string;
  detail?: string;
  instance?: string;
  issues: readonly Issue[];
};

export class RequestFailure extends Error {
  readonly problem: RequestProblem;
  constructor(problem: RequestProblem) {
    super(`${problem.code}: ${problem.title}`);
    this.name = "RequestFailure";
    this.problem = problem;
  }
}

function issuesOf(value: unknown): Issue[] {
  if (!Array.isArray(value)) return [];
  return value.flatMap((issue) => {
    if (!isRecord(issue)) return [];
    const problem = textOf(issue.problem);
    return problem === undefined ? [] : [{ path: textOf(issue.path) ?? "", problem }];
  });
}

/** By status alone, for answers that are not ours (a proxy's page, better-auth's own errors). */
function codeOf(status: number): ErrorCode {
  if (status === 401) return "request.unauthenticated";
  if (status === 403) return "request.forbidden";
  if (status === 404) return "resource.unknown";
  if (status === 413) return "request.too-large";
  if (status === 429) return "limit.exceeded";
  if (status >= 400 && status < 500) return "request.invalid";
  return status === 502 || status === 503 || status === 504 ? "upstream.down" : "internal";
}

/** Reads RFC 9457 problem details, and makes the best of anything else. */
export function toRequestProblem(status: number, body: string): RequestProblem {
  const parsed = parseJson(body);
  if (!isRecord(parsed)) return { status, code: codeOf(status), title: `HTTP ${status}`, issues: [] };
  const code = textOf(parsed.code);
  const detail = textOf(parsed.detail);
  const instance = textOf(parsed.instance);
  return {
    status,
    // A code of ours is lower case with one dot; better-auth's are upper case and fall back to the status.
    code: code !== undefined && /^[a-z.-]+$/.test(code) ? (code as ErrorCode) : codeOf(status),
    title: textOf(parsed.title) ?? textOf(parsed.message) ?? `HTTP ${status}`,
    ...(detail === undefined ? {} : { detail }),
    ...(instance === undefined ? {} : { instance }),
    issues: issuesOf(parsed.errors),
  };
}

function parseJson(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch (error) {
    // A proxy's HTML page or an empty body: the status alone tells.
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** While signing in, "not authenticated" means that email or password is wrong. */
export function signInProblemOf(error: unknown): RequestProblem {
  const problem = problemOf(error);
  if (problem.status !== 401) return problem;
  return { status: 401, code: "sign-in.wrong", title: "Invalid email or password", issues: [] };
}

/** Anything thrown, as a problem: what is not a RequestFailure never reached the gateway. */
export function problemOf(error: unknown): RequestProblem {
  if (error instanceof RequestFailure) return error.problem;
  const title = error instanceof Error ? error.message : String(error);
  return { status: 0, code: "network", title, issues: [] };
}
