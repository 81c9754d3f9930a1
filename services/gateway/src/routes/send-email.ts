import { z } from "@hono/zod-openapi";
import { limits } from "@tyto/contracts";
import {
  type Api,
  bounded,
  callerOf,
  createRoute,
  type GuardPorts,
  guard,
  mailBodyBytesMax,
  mailTurns,
  problems,
  secured,
} from "../api.ts";
import { sha256 } from "../idempotency.ts";
import { SendAnswer, SendRequest } from "../schemas.ts";
import { type SubmissionPorts, submitOne } from "../submission.ts";

/** Repeating a request with the same key sends nothing twice. */
export const IdempotencyHeaders = z.object({
  "idempotency-key": z
    .string()
    .min(1)
    .max(limits.idempotencyKeyCharsMax)
    .optional()
    .openapi({
      description: `Up to ${limits.idempotencyKeyCharsMax} characters, remembered for 24 hours: the same body gets the same answer (with Idempotent-Replayed: true), another body 409`,
      example: "order-4711",
    }),
});

/** POST /v1/emails */
export function sendEmail(api: Api, guards: GuardPorts, ports: SubmissionPorts): void {
  const route = createRoute({
    method: "post",
    path: "/v1/emails",
    operationId: "sendEmail",
    tags: ["Emails"],
    summary: "Send a message",
    description:
      "Answers 202 once the message is stored safely. Recipients on the suppression list are left out and told in the answer. Bulk mail has to keep the rules of Gmail, Yahoo and Microsoft: `bulk.refused` says which it breaks, and the fix.",
    security: secured,
    middleware: [guard(guards, "emails:send"), bounded(mailBodyBytesMax, mailTurns)] as const,
    request: {
      headers: IdempotencyHeaders,
      body: { required: true, content: { "application/json": { schema: SendRequest } } },
    },
    responses: {
      202: { description: "Accepted", content: { "application/json": { schema: SendAnswer } } },
      ...problems(
        "request.too-large",
        "request.unsupported-type",
        "domain.unknown",
        "bulk.refused",
        "recipient.suppressed",
        "idempotency.conflict",
        "idempotency.in-progress",
        "storage.full",
      ),
    },
  });
  api.openapi(route, async (c) => {
    const key = c.req.valid("header")["idempotency-key"];
    const repeat = key === undefined ? undefined : { key, bodySha256: sha256(await c.req.text()) };
    const { answer, isReplay } = await submitOne(ports, callerOf(c), c.req.valid("json"), repeat);
    if (isReplay) c.header("Idempotent-Replayed", "true");
    return c.json(answer, 202);
  });
}
