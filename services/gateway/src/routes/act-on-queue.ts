import type { z } from "@hono/zod-openapi";
import { QueueBounce, QueueHold, QueueRebind, QueueRelease, QueueRequeue } from "@tyto/contracts";
import {
  type Api,
  bounded,
  callerOf,
  createRoute,
  type GuardPorts,
  guard,
  problems,
  secured,
  smallBodyBytesMax,
} from "../api.ts";
import type { Operation } from "../operation/operation.ts";
import { QueueActedShown, QueueHeldShown, QueueReleasedShown } from "../schemas.ts";

const parts =
  "One request does a bounded part and is harmless to repeat: go on with `next_cursor` until it is null. What is being sent at the moment is left alone and counted as `in_hand`. With `dry_run` nothing changes.";

/** POST /v1/queue/hold, release, bounce, requeue, rebind */
export function actOnQueue(
  api: Api,
  guards: GuardPorts,
  operation: Pick<Operation, "act" | "hold" | "release" | "requeue">,
): void {
  const common = {
    method: "post" as const,
    tags: ["Queue"],
    security: secured,
    middleware: [guard(guards, "admin"), bounded(smallBodyBytesMax)],
  };
  const refusals = problems("request.too-large", "request.unsupported-type");
  const body = <S extends z.ZodType>(schema: S) => ({
    body: { required: true, content: { "application/json": { schema } } },
  });
  const answer = <S extends z.ZodType>(schema: S) => ({
    200: { description: "What was done", content: { "application/json": { schema } } },
    ...refusals,
  });

  const hold = createRoute({
    ...common,
    path: "/v1/queue/hold",
    operationId: "holdQueue",
    summary: "Keep mail from being sent",
    description: `A single site, domain, organisation or campaign is held as such, mail to come included, and shows in GET /v1/holds; so is an organisation or campaign with a site, at that site alone. Other conditions put the entries off. ${parts}`,
    request: body(QueueHold),
    responses: answer(QueueHeldShown),
  });
  api.openapi(hold, async (c) => c.json(await operation.hold(c.req.valid("json"), callerOf(c).name), 200));

  const release = createRoute({
    ...common,
    path: "/v1/queue/release",
    operationId: "releaseQueue",
    summary: "Let held mail be sent again",
    description: `Ends the hold of a single site, domain, organisation or campaign, or of one of the latter at one site; its entries are due now. With other conditions entries that were put off are due now. ${parts}`,
    request: body(QueueRelease),
    responses: answer(QueueReleasedShown),
  });
  api.openapi(release, async (c) =>
    c.json(await operation.release(c.req.valid("json"), callerOf(c).name), 200),
  );

  const bounce = createRoute({
    ...common,
    path: "/v1/queue/bounce",
    operationId: "bounceQueue",
    summary: "Give up on mail that waits",
    description: `Each entry ends as \`mail.bounced\` with the reason \`local.trouble\` and your words; nobody is suppressed for it. It cannot be undone. ${parts}`,
    request: body(QueueBounce),
    responses: answer(QueueActedShown),
  });
  api.openapi(bounce, async (c) =>
    c.json(await operation.act("bounce", c.req.valid("json"), callerOf(c).name), 200),
  );

  const requeue = createRoute({
    ...common,
    path: "/v1/queue/requeue",
    operationId: "requeueQueue",
    summary: "Try waiting mail now instead of at its time",
    description: `A single site that is suspended is asked by the first of its mail; the rest follows when that went well. ${parts}`,
    request: body(QueueRequeue),
    responses: answer(QueueActedShown),
  });
  api.openapi(requeue, async (c) =>
    c.json(await operation.requeue(c.req.valid("json"), callerOf(c).name), 200),
  );

  const rebind = createRoute({
    ...common,
    path: "/v1/queue/rebind",
    operationId: "rebindQueue",
    summary: "Send waiting mail from another pool of addresses",
    description: `Times stay as they are. ${parts}`,
    request: body(QueueRebind),
    responses: answer(QueueActedShown),
  });
  api.openapi(rebind, async (c) =>
    c.json(await operation.act("rebind", c.req.valid("json"), callerOf(c).name), 200),
  );
}
