import type { Bucket } from "@tyto/bus";
import { defaultOrganization, Failure, MessageId, type Payload } from "@tyto/contracts";
import { type Api, createRoute, type GuardPorts, guard, problems, secured } from "../api.ts";
import { Cancelled } from "../schemas.ts";
import { EmailParams, type EmailPorts, findEmail } from "./get-email.ts";

export type CancelPorts = EmailPorts & {
  claims: Pick<Bucket<"CLAIMS">, "create" | "get">;
  publish(subject: "mail.cancelled", payload: Payload<"mail.cancelled">): Promise<void>;
  now(): number;
};

/**
 * Claims the message before the mta does: whoever creates the claim first decides, so a message is either sent or
 * cancelled, never both. Repeating it is harmless and mends an event that a crash kept back. Throws Failure
 * `message.unknown` or `message.already-sent`.
 */
export async function cancel(ports: CancelPorts, id: string): Promise<void> {
  const message = await findEmail(ports, id);
  const messageId = MessageId.parse(message.id);
  if (message.scheduled_at === undefined)
    throw new Failure("message.already-sent", "not scheduled", {
      hint: "Only a message with scheduled_at can be cancelled, before that time",
    });
  const at = ports.now();
  if (!(await ports.claims.create(messageId, { by: "cancelled", at }))) {
    const claim = await ports.claims.get(messageId);
    if (claim?.by !== "cancelled") throw new Failure("message.already-sent", "the mta was first");
  }
  await ports.publish("mail.cancelled", {
    id: `${messageId}.cancelled`,
    at,
    organizationId: defaultOrganization,
    messageId,
  });
}

/** POST /v1/emails/{id}/cancel */
export function cancelEmail(api: Api, guards: GuardPorts, ports: CancelPorts): void {
  const route = createRoute({
    method: "post",
    path: "/v1/emails/{id}/cancel",
    operationId: "cancelEmail",
    tags: ["Emails"],
    summary: "Cancel a scheduled message",
    security: secured,
    middleware: [guard(guards, "emails:send")] as const,
    request: { params: EmailParams },
    responses: {
      200: { description: "It will not be sent", content: { "application/json": { schema: Cancelled } } },
      ...problems("message.unknown", "message.already-sent"),
    },
  });
  api.openapi(route, async (c) => {
    const { id } = c.req.valid("param");
    await cancel(ports, id);
    return c.json({ id, status: "cancelled" as const }, 200);
  });
}
