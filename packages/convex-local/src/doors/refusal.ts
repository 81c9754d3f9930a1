import type { HttpProblem } from "../http/problem.ts";

const REASONS: Record<number, string> = {
  200: "OK",
  400: "Bad Request",
  408: "Request Timeout",
  414: "URI Too Long",
  431: "Request Header Fields Too Large",
  500: "Internal Server Error",
  501: "Not Implemented",
  503: "Service Unavailable",
  505: "HTTP Version Not Supported",
};

/** A whole HTTP response, after which the connection ends. Browsers of `origin` may read it. */
export function responseText(status: number, body: unknown, origin: string | null): string {
  const json = JSON.stringify(body);
  const lines = [
    `HTTP/1.1 ${status} ${REASONS[status] ?? "Error"}`,
    "Content-Type: application/json",
    `Content-Length: ${Buffer.byteLength(json)}`,
    "Connection: close",
  ];
  if (status === 503) lines.push("Retry-After: 1");
  if (origin !== null) {
    lines.push(
      `Access-Control-Allow-Origin: ${origin}`,
      "Access-Control-Allow-Credentials: true",
      "Vary: origin",
    );
  }
  return `${lines.join("\r\n")}\r\n\r\n${json}`;
}

export const refusalText = ({ status, code, message }: HttpProblem, origin: string | null = null): string =>
  responseText(status, { code, message }, origin);
