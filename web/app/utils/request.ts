import { problemOf, RequestFailure, toRequestProblem } from "./problem.ts";

type Method = "GET" | "POST" | "PUT" | "DELETE";
const timeoutMs = 20_000;

/**
 * One request to the gateway on this origin, with the session cookie; JSON in and out. Throws a RequestFailure with
 * what the gateway answered, or with code `network` when nothing answered in time.
 */
export async function request<Answer>(method: Method, path: string, body?: unknown): Promise<Answer> {
  let answer: Response;
  try {
    answer = await fetch(path, {
      method,
      credentials: "same-origin",
      signal: AbortSignal.timeout(timeoutMs),
      headers: {
        accept: "application/json",
        ...(body === undefined ? {} : { "content-type": "application/json" }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  } catch (error) {
    throw new RequestFailure(problemOf(error));
  }
  const text = await answer.text();
  if (!answer.ok) throw new RequestFailure(toRequestProblem(answer.status, text));
  return (text === "" ? undefined : JSON.parse(text)) as Answer;
}
