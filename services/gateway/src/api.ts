/** What all routes share: the app's type, the door in front of /v1, and how errors look in the reference. */
import { createRoute, OpenAPIHono } from "@hono/zod-openapi";
import { type ErrorCode, errors, Failure, limits, type Scope } from "@tyto/contracts";
import { places } from "@tyto/service";
import type { Server } from "bun";
import type { Context, MiddlewareHandler } from "hono";
import { allow, type Caller, type CallerPorts, identify } from "./caller.ts";
import { invalidRequest } from "./problems.ts";
import type { Relay } from "./proxy.ts";
import { quotaHeaders, type RateLimit, refuseExceeded } from "./rate-limit.ts";
import { Problem } from "./schemas.ts";

export type GatewayEnv = {
  /** Absent when requests are handed in as values, as tests do. */
  Bindings: { server?: Server<Relay> };
  Variables: { requestId: string; caller: Caller; traceparent: string | undefined };
};
export type Api = OpenAPIHono<GatewayEnv>;

export const newApi = (): Api =>
  new OpenAPIHono<GatewayEnv>({
    defaultHook: (result) => {
      if (!result.success) throw invalidRequest(result.error);
    },
  });

export type GuardPorts = {
  callers: CallerPorts;
  rateLimit: RateLimit;
  /** Told when an API key was used. */
  onCaller(caller: Caller): void;
};

/** Who → how often → may they, before a byte of the body is read. */
export function guard(
  { callers, rateLimit, onCaller }: GuardPorts,
  scope: Scope,
): MiddlewareHandler<GatewayEnv> {
  return async (c, next) => {
    const caller = await identify(c.req.raw, callers);
    const quota = await rateLimit(caller.id);
    for (const [name, value] of Object.entries(quotaHeaders(quota))) c.header(name, value);
    refuseExceeded(quota);
    allow(caller, scope);
    onCaller(caller);
    c.set("caller", { ...caller, traceparent: c.get("traceparent") });
    await next();
  };
}

/** Bodies of all requests that wait or are handled, together: a little more than the largest that there may be. */
const inFlightBytesMax = 64 * 1_048_576;
let inFlightBytes = 0;

/**
 * Bodies with mail that are handled at a time; a larger one alone. Handling takes five times a body's bytes (its text, its
 * values, the message, its pack, what goes to NATS), and more at once are handled no sooner.
 */
const mailBytesMax = 12 * 1_048_576;
export const mailTurns = places(mailBytesMax);

/**
 * Bounds the body before it is read, alone and together with the others in hand; with `turns` it is handled when as many
 * bytes have room there. Throws Failure `request.too-large`, or `storage.full` while the others take all the room.
 */
export function bounded(bytesMax: number, turns?: typeof mailTurns): MiddlewareHandler<GatewayEnv> {
  const tooLarge = () =>
    new Failure("request.too-large", `more than ${bytesMax} bytes`, {
      hint: `The request may have at most ${bytesMax} bytes`,
    });
  return async (c, next) => {
    let counted = 0;
    const count = (bytes: number) => {
      if (counted + bytes > bytesMax) throw tooLarge();
      if (inFlightBytes + bytes > inFlightBytesMax)
        throw new Failure("storage.full", "too many bytes in flight", {
          hint: "Too much mail is being taken at this moment; send it again in a second",
          retryAfterS: 1,
        });
      counted += bytes;
      inFlightBytes += bytes;
    };
    let giveBack: (() => void) | undefined;
    try {
      const length = c.req.header("content-length") ?? "";
      if (/^\d{1,15}$/.test(length)) count(Number(length));
      // Without a length it is counted while it comes.
      else if (c.req.raw.body !== null) c.req.raw = await readWhole(c.req.raw, c.req.raw.body, count);
      giveBack = await turns?.take(counted);
      await next();
    } finally {
      giveBack?.();
      inFlightBytes -= counted;
    }
  };
}

async function readWhole(
  request: Request,
  body: ReadableStream<Uint8Array>,
  count: (bytes: number) => void,
): Promise<Request> {
  const parts: Uint8Array[] = [];
  for await (const part of body) {
    count(part.length);
    parts.push(part);
  }
  return new Request(request.url, {
    method: request.method,
    headers: request.headers,
    body: Buffer.concat(parts),
  });
}

export const smallBodyBytesMax = 65_536;
export const mailBodyBytesMax = limits.requestBytesMax;
export const batchBodyBytesMax = limits.batchBytesMax;

/** The error answers of a route for the reference. Every route with a caller has the first four. */
export function problems(...codes: ErrorCode[]) {
  const all: ErrorCode[] = [
    "request.invalid",
    "request.unauthenticated",
    "request.forbidden",
    "limit.exceeded",
    ...codes,
    "upstream.down",
  ];
  const byStatus = Map.groupBy(all, (code) => errors[code].http);
  return Object.fromEntries(
    [...byStatus].map(([status, rows]) => [
      status,
      {
        description: rows.map((code) => `\`${code}\`: ${errors[code].say}`).join("; "),
        content: { "application/problem+json": { schema: Problem } },
        ...(status === 429 || status === 503 ? { headers: retryAfter } : {}),
      },
    ]),
  );
}

const retryAfter = {
  "Retry-After": { description: "Seconds to wait", schema: { type: "integer" as const } },
};

export const secured = [{ apiKey: [] }];

export const callerOf = (c: Context<GatewayEnv>): Caller => c.get("caller");

export { createRoute };
