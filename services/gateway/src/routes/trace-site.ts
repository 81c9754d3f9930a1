import { z } from "@hono/zod-openapi";
import { type ControlAnswer, phrase, type TraceLineView, toFailure } from "@tyto/contracts";
import { type Api, createRoute, type GuardPorts, guard, problems, secured } from "../api.ts";
import type { Operation } from "../operation/operation.ts";
import { SiteParams, siteName } from "./sites.ts";

/** A proxy that hears nothing for a while closes the connection. */
const stillHereMs = 15_000;
/** Events that wait for a slow reader; more are left out. */
const unreadMax = 1_000;

/** GET /v1/sites/{domain}/trace */
export function traceSite(api: Api, guards: GuardPorts, operation: Pick<Operation, "trace">): void {
  const route = createRoute({
    method: "get",
    path: "/v1/sites/{domain}/trace",
    operationId: "traceSite",
    tags: ["Sites"],
    summary: "The SMTP dialogue with a domain's servers, as it happens",
    description:
      "Server-sent events, for ten minutes at most: `line` with a TraceLine, `dropped` with the number of lines that were left out because they came too fast, `end`. Secrets are masked, and the text of messages is not in it. The domain may also be a site's id or the name of a mail server.",
    security: secured,
    middleware: [guard(guards, "admin")] as const,
    request: { params: SiteParams },
    responses: {
      200: { description: "Events", content: { "text/event-stream": { schema: z.string() } } },
      ...problems(),
    },
  });
  api.openapi(route, (c) => {
    const { domain } = c.req.valid("param");
    return c.newResponse(events(operation, siteName(domain), c.req.raw.signal), 200, {
      "content-type": "text/event-stream",
      "cache-control": "no-store",
      "x-accel-buffering": "no",
    });
  });
}

function events(
  operation: Pick<Operation, "trace">,
  domain: string,
  gone: AbortSignal,
): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  const ending = new AbortController();
  const end = () => ending.abort();
  gone.addEventListener("abort", end, { once: true });
  return new ReadableStream<Uint8Array>(
    {
      start(stream) {
        const say = (text: string) => {
          if (!ending.signal.aborted) stream.enqueue(encoder.encode(text));
        };
        const event = (name: string, data: unknown) =>
          say(`event: ${name}\ndata: ${JSON.stringify(data)}\n\n`);
        const timer = setInterval(() => say(": still here\n\n"), stillHereMs);
        say(": listening\n\n");
        const tell = (told: ControlAnswer<"mta.trace">) => {
          const room = stream.desiredSize ?? 0;
          const lines = told.lines.slice(0, Math.max(0, room));
          for (const line of lines) event("line", lineView(told.process, line));
          const dropped = told.dropped + told.lines.length - lines.length;
          if (dropped > 0) event("dropped", { lines: dropped });
        };
        operation
          .trace(domain, tell, ending.signal)
          .then(
            () => event("end", { why: phrase("loop.ended", {}) }),
            (error: unknown) => event("end", { why: toFailure(error).hint ?? toFailure(error).row.say }),
          )
          .finally(() => {
            clearInterval(timer);
            gone.removeEventListener("abort", end);
            if (!ending.signal.aborted) stream.close();
          });
      },
      cancel: end,
    },
    new CountQueuingStrategy({ highWaterMark: unreadMax }),
  );
}

const lineView = (
  process: string,
  { atMs, ...line }: ControlAnswer<"mta.trace">["lines"][number],
): TraceLineView => ({ at: new Date(atMs).toISOString(), process, ...line });
