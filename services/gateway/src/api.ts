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
  Variables: {
    requestId: string;
    caller: Caller;
    traceparent: string | undefined;
    /** Who asks to sign in, as far as it is known. */
    clientIp: string | undefined;
  };
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

/** Bytes of bodies that wait or are handled at the same time. */
type Room = { bytesMax: number; bytes: number };

/** Of those who have said who they are: a little more than the largest body that there may be. */
const callersRoom: Room = { bytesMax: 64 * 1_048_576, bytes: 0 };
/** Of everybody else, apart: who need not say who they are must not take the room of mail. */
const strangersRoom: Room = { bytesMax: 8 * 1_048_576, bytes: 0 };
/** A stranger's body is small, and is here by then. */
const strangerMsMax = 10_000;

/**
 * Bodies with mail that are handled at a time; a larger one alone. Handling takes five times a body's bytes (its text, its
 * values, the message, its pack, what goes to NATS), and more at once are handled no sooner.
 */
const mailBytesMax = 12 * 1_048_576;
export const mailTurns = places(mailBytesMax);

/**
 * Bounds the body before it is read, alone and together with the others in hand; with `turns` it is handled when as many
 * bytes have room there. For callers whom `guard` or a session has let in. Throws Failure `request.too-large`, or
 * `storage.full` while the others take all the room.
 */
export function bounded(bytesMax: number, turns?: typeof mailTurns): MiddlewareHandler<GatewayEnv> {
  return async (c, next) => {
    const share = shareOf(callersRoom, bytesMax);
    let giveBack: (() => void) | undefined;
    try {
      const length = lengthOf(c);
      if (length !== undefined) share.take(length);
      // Without a length it is counted while it comes.
      else if (c.req.raw.body !== null) c.req.raw = await readWhole(c.req.raw, c.req.raw.body, share.take);
      giveBack = await turns?.take(share.bytes());
      await next();
    } finally {
      giveBack?.();
      share.giveBack();
    }
  };
}

/**
 * The same where nobody has to say who they are. What a stranger only announces takes no room: the body is counted while it
 * comes. Throws Failure `request.invalid` when it is not whole after `msMax`, too.
 */
export function boundedForStrangers(bytesMax: number, msMax = strangerMsMax): MiddlewareHandler<GatewayEnv> {
  return async (c, next) => {
    const share = shareOf(strangersRoom, bytesMax);
    try {
      if ((lengthOf(c) ?? 0) > bytesMax) throw tooLarge(bytesMax);
      if (c.req.raw.body !== null) c.req.raw = await readWhole(c.req.raw, c.req.raw.body, share.take, msMax);
      await next();
    } finally {
      share.giveBack();
    }
  };
}

/** What one request takes of a room. `take` throws what `bounded` throws. */
function shareOf(room: Room, bytesMax: number) {
  let counted = 0;
  return {
    bytes: () => counted,
    take(bytes: number) {
      if (counted + bytes > bytesMax) throw tooLarge(bytesMax);
      if (room.bytes + bytes > room.bytesMax)
        throw new Failure("storage.full", "too many bytes in flight", {
          hint: "Too much mail is being taken at this moment; send it again in a second",
          retryAfterS: 1,
        });
      counted += bytes;
      room.bytes += bytes;
    },
    giveBack() {
      room.bytes -= counted;
      counted = 0;
    },
  };
}

const tooLarge = (bytesMax: number) =>
  new Failure("request.too-large", `more than ${bytesMax} bytes`, {
    hint: `The request may have at most ${bytesMax} bytes`,
  });

function lengthOf(c: Context): number | undefined {
  const length = c.req.header("content-length") ?? "";
  return /^\d{1,15}$/.test(length) ? Number(length) : undefined;
}

async function readWhole(
  request: Request,
  body: ReadableStream<Uint8Array>,
  count: (bytes: number) => void,
  msMax?: number,
): Promise<Request> {
  const reader = body.getReader();
  let isLate = false;
  const late =
    msMax === undefined
      ? undefined
      : setTimeout(() => {
          isLate = true;
          void reader.cancel();
        }, msMax);
  const parts: Uint8Array[] = [];
  try {
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      count(part.value.length);
      parts.push(part.value);
    }
  } finally {
    clearTimeout(late);
  }
  if (isLate)
    throw new Failure("request.invalid", "the body did not come", {
      hint: "The request took too long to arrive",
    });
  return new Request(request.url, {
    method: request.method,
    headers: request.headers,
    body: Buffer.concat(parts),
  });
}

export const smallBodyBytesMax = 65_536;
export const strangerBodyBytesMax = 8_192;
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
