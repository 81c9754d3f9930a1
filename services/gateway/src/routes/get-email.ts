import { z } from "@hono/zod-openapi";
import { type EmailDetail as EmailDetailView, Failure, toFailure } from "@tyto/contracts";
import { type Api, createRoute, type GuardPorts, guard, problems, secured } from "../api.ts";
import type { Recent } from "../recent.ts";
import { EmailDetail } from "../schemas.ts";
import type { Store } from "../store.ts";

export const EmailParams = z.object({ id: z.string().max(64).describe("The id of the message") });

export type EmailPorts = { store: Pick<Store, "findEmail">; recent: Pick<Recent, "find"> };

/**
 * The message as Convex knows it, or as it was accepted here a moment ago. Throws Failure `message.unknown`, or what the
 * store throws when nothing is known here either.
 */
export async function findEmail({ store, recent }: EmailPorts, id: string): Promise<EmailDetailView> {
  const here = recent.find(id);
  let stored: EmailDetailView | undefined;
  try {
    stored = await store.findEmail(id);
  } catch (error) {
    // Convex is away: what was accepted here is known all the same.
    if (here === undefined || !toFailure(error).row.retry) throw error;
  }
  // Until the event with the message's details is recorded, a row of Convex may know less than we do.
  const found = stored === undefined || (stored.from === "" && here !== undefined) ? here : stored;
  if (found === undefined) throw new Failure("message.unknown", `no message ${id}`);
  return found;
}

/** GET /v1/emails/{id} */
export function getEmail(api: Api, guards: GuardPorts, ports: EmailPorts): void {
  const route = createRoute({
    method: "get",
    path: "/v1/emails/{id}",
    operationId: "getEmail",
    tags: ["Emails"],
    summary: "One message with its recipients and its timeline",
    security: secured,
    middleware: [guard(guards, "emails:read")] as const,
    request: { params: EmailParams },
    responses: {
      200: { description: "The message", content: { "application/json": { schema: EmailDetail } } },
      ...problems("message.unknown"),
    },
  });
  api.openapi(route, async (c) => c.json(await findEmail(ports, c.req.valid("param").id), 200));
}
