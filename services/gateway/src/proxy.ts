/**
 * The way of the browser to Convex, on our own origin: live queries over WebSocket, and the function calls over HTTP.
 * Only what the official browser client asks for passes; administration of Convex does not.
 */
import { Failure } from "@tyto/contracts";
import type { Server, ServerWebSocket } from "bun";

const requestBytesMax = 1_048_576;
const requestMsMax = 30_000;
/** What a browser may have sent before the way to Convex is open. */
const waitingFramesMax = 256;
const waitingBytesMax = 4 * 1_048_576;
/** What may wait for a slow reader; a live query's answer has at most 16 MiB. */
const unsentBytesMax = 32 * 1_048_576;

const socketPath = /^\/api\/(?:[\w.-]{1,40}\/)?sync$/;
const callPath = /^\/api\/(?:query|mutation|action|query_ts|query_at_ts)$/;
const filePath = /^\/api\/storage\/[\w-]{1,100}$/;

/** The state of one browser's socket. */
export type Relay = {
  target: string;
  upstream: WebSocket | undefined;
  waiting: (string | Uint8Array<ArrayBuffer>)[];
  waitingBytes: number;
};

/** The path after /convex that is let through, and how; `undefined` for everything else. */
export function convexTarget(path: string, method: string): "socket" | "call" | "file" | undefined {
  if (method === "GET" && socketPath.test(path)) return "socket";
  if (method === "POST" && callPath.test(path)) return "call";
  if (method === "GET" && filePath.test(path)) return "file";
  return undefined;
}

/** Passes a call or a file on. Throws Failure `upstream.down` when Convex does not answer. */
export async function relayHttp(request: Request, convexUrl: string, path: string): Promise<Response> {
  const headers = new Headers();
  for (const name of ["content-type", "convex-client", "range", "if-none-match"]) {
    const value = request.headers.get(name);
    if (value !== null) headers.set(name, value);
  }
  // A person's token only: an administrator's key has no business in a browser.
  const authorization = request.headers.get("authorization");
  if (authorization?.startsWith("Bearer ")) headers.set("authorization", authorization);
  const answer = await fetch(`${convexUrl}${path}`, {
    method: request.method,
    headers,
    ...(request.method === "POST" ? { body: await request.arrayBuffer() } : {}),
    signal: AbortSignal.timeout(requestMsMax),
  }).catch((error: unknown) => {
    throw new Failure("upstream.down", `Convex: ${String(error)}`, { cause: error });
  });
  const passed = new Headers();
  for (const name of [
    "content-type",
    "content-disposition",
    "etag",
    "content-range",
    "accept-ranges",
    "digest",
  ]) {
    const value = answer.headers.get(name);
    if (value !== null) passed.set(name, value);
  }
  // A stored file is somebody else's content: it is never a page of ours.
  if (request.method === "GET") passed.set("content-security-policy", "sandbox; default-src 'none'");
  passed.set("x-content-type-options", "nosniff");
  return new Response(answer.body, { status: answer.status, headers: passed });
}

export const relayBodyBytesMax = requestBytesMax;

/** Takes the browser's socket; the way to Convex is opened when the browser's is. False when it is no upgrade. */
export function upgrade(request: Request, server: Server<Relay>, convexUrl: string, path: string): boolean {
  const target = `${convexUrl.replace(/^http/, "ws")}${path}`;
  return server.upgrade(request, { data: { target, upstream: undefined, waiting: [], waitingBytes: 0 } });
}

/** Dashboards that may be open at a time; each page has one socket. */
const socketsMax = 2_000;

/** Bun.serve's WebSocket handlers, and the end of all sockets: browsers come back by themselves. */
export function createRelay() {
  const open = new Set<ServerWebSocket<Relay>>();
  return {
    closeAll: () => {
      for (const browser of open) browser.close(1_001, "the gateway stops");
    },
    handlers: {
      maxPayloadLength: requestBytesMax,
      backpressureLimit: unsentBytesMax,
      closeOnBackpressureLimit: true,
      idleTimeout: 120,
      perMessageDeflate: true,

      open(browser: ServerWebSocket<Relay>) {
        if (open.size >= socketsMax) return browser.close(1_013, "too many open pages");
        open.add(browser);
        connectUpstream(browser);
      },

      message(browser: ServerWebSocket<Relay>, frame: string | Buffer<ArrayBuffer>) {
        const { upstream, waiting } = browser.data;
        if (upstream?.readyState === WebSocket.OPEN) {
          if (upstream.bufferedAmount > unsentBytesMax) browser.close(1_013, "too much at once");
          else upstream.send(frame);
          return;
        }
        browser.data.waitingBytes += frame.length;
        if (waiting.length >= waitingFramesMax || browser.data.waitingBytes > waitingBytesMax)
          browser.close(1_013, "Convex is not reachable yet");
        else waiting.push(typeof frame === "string" ? frame : new Uint8Array(frame));
      },

      close(browser: ServerWebSocket<Relay>) {
        open.delete(browser);
        const { upstream } = browser.data;
        browser.data.waiting = [];
        if (upstream !== undefined && upstream.readyState <= WebSocket.OPEN) upstream.close(1_000);
      },
    },
  };
}

function connectUpstream(browser: ServerWebSocket<Relay>): void {
  const upstream = new WebSocket(browser.data.target);
  upstream.binaryType = "arraybuffer";
  browser.data.upstream = upstream;
  upstream.onopen = () => {
    for (const frame of browser.data.waiting) upstream.send(frame);
    browser.data.waiting = [];
    browser.data.waitingBytes = 0;
  };
  upstream.onmessage = ({ data }) => {
    browser.send(data as string | ArrayBuffer);
  };
  upstream.onclose = ({ code, reason }) => {
    // 1005 and 1006 say that there was no code, and may not be sent (RFC 6455 §7.4.1).
    browser.close(code === 1_005 || code === 1_006 ? 1_001 : code, reason.slice(0, 120));
  };
}
