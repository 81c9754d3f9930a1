import {
  type Api,
  batchBodyBytesMax,
  bounded,
  callerOf,
  createRoute,
  type GuardPorts,
  guard,
  mailTurns,
  problems,
  secured,
} from "../api.ts";
import { sha256 } from "../idempotency.ts";
import { BatchAnswer, BatchRequest } from "../schemas.ts";
import { type SubmissionPorts, submitBatch } from "../submission.ts";
import { IdempotencyHeaders } from "./send-email.ts";

/** POST /v1/emails/batch */
export function sendBatch(api: Api, guards: GuardPorts, ports: SubmissionPorts): void {
  const route = createRoute({
    method: "post",
    path: "/v1/emails/batch",
    operationId: "sendBatch",
    tags: ["Emails"],
    summary: "Send up to 500 messages",
    description:
      "Items stand on their own: those in order are accepted, the others are told with the problem that a request of their own would have got. `failed` is 0 when all were accepted.",
    security: secured,
    middleware: [guard(guards, "emails:send"), bounded(batchBodyBytesMax, mailTurns)] as const,
    request: {
      headers: IdempotencyHeaders,
      body: { required: true, content: { "application/json": { schema: BatchRequest } } },
    },
    responses: {
      202: {
        description: "One result per item, in the order of the request",
        content: { "application/json": { schema: BatchAnswer } },
      },
      ...problems(
        "request.too-large",
        "request.unsupported-type",
        "idempotency.conflict",
        "idempotency.in-progress",
        "storage.full",
      ),
    },
  });
  api.openapi(route, async (c) => {
    const key = c.req.valid("header")["idempotency-key"];
    const repeat = key === undefined ? undefined : { key, bodySha256: sha256(await c.req.text()) };
    const { answer, isReplay } = await submitBatch(ports, callerOf(c), c.req.valid("json"), repeat);
    if (isReplay) c.header("Idempotent-Replayed", "true");
    return c.json(answer, 202);
  });
}
