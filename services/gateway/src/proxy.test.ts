import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Server } from "bun";
import { convexTarget, createRelay, type Relay, upgrade } from "./proxy.ts";

test.each([
  ["GET", "/api/sync", "socket"],
  ["GET", "/api/1.48.0/sync", "socket"],
  ["POST", "/api/query", "call"],
  ["POST", "/api/mutation", "call"],
  ["POST", "/api/action", "call"],
  ["GET", "/api/storage/0b8fb1d4-5d1c-4b1e-8f7c-0a6f3a6a2d10", "file"],
  ["POST", "/api/sync", undefined],
  ["GET", "/api/query", undefined],
  ["POST", "/api/deploy2/start_push", undefined],
  ["GET", "/api/a/b/sync", undefined],
  ["GET", "/api/storage/../list_snapshot", undefined],
  ["POST", "/api/query/", undefined],
  ["GET", "/", undefined],
] as const)("%s %s is let through as %s", (method, path, kind) => {
  expect(convexTarget(path, method)).toBe(kind as ReturnType<typeof convexTarget>);
});

describe("a relayed socket", () => {
  let upstream: Server<undefined>;
  let relay: Server<Relay>;
  const pages = createRelay();
  /** Lets the upstream answer a handshake. */
  let admit = Promise.withResolvers<void>();
  beforeAll(() => {
    upstream = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      async fetch(request, server) {
        await admit.promise;
        return server.upgrade(request) ? undefined : new Response(null, { status: 400 });
      },
      websocket: {
        message(socket, frame) {
          if (frame === "bye") socket.close(4_001, "as asked");
          else socket.send(frame);
        },
      },
    });
    relay = Bun.serve<Relay>({
      port: 0,
      hostname: "127.0.0.1",
      fetch: (request, server) =>
        upgrade(request, server, `http://127.0.0.1:${upstream.port}`, "/api/sync")
          ? undefined
          : new Response(null, { status: 400 }),
      websocket: pages.handlers,
    });
  });
  afterAll(async () => {
    await relay.stop(true);
    await upstream.stop(true);
  });

  const dial = async () => {
    const socket = new WebSocket(`ws://127.0.0.1:${relay.port}`);
    const frames: unknown[] = [];
    const closed = Promise.withResolvers<CloseEvent>();
    socket.binaryType = "arraybuffer";
    socket.onmessage = ({ data }) => frames.push(data);
    socket.onclose = closed.resolve;
    await new Promise((resolve) => {
      socket.onopen = resolve;
    });
    return { socket, frames, closed: closed.promise };
  };

  test("keeps what is sent before Convex answers, in order, and passes its close on", async () => {
    const { socket, frames, closed } = await dial();
    socket.send("one");
    socket.send(new Uint8Array([2]));
    admit.resolve();
    socket.send("three");
    socket.send("bye");
    expect(await closed).toMatchObject({ code: 4_001, reason: "as asked" });
    expect(frames).toEqual(["one", new Uint8Array([2]).buffer, "three"]);
  });

  test("is closed when more is sent than may wait for Convex", async () => {
    admit = Promise.withResolvers<void>();
    const { socket, closed } = await dial();
    for (let frame = 0; frame < 257; frame++) socket.send("x");
    expect((await closed).code).toBe(1_013);
    admit.resolve();
  });

  test("is closed when the gateway stops", async () => {
    const { closed } = await dial();
    pages.closeAll();
    expect((await closed).code).toBe(1_001);
  });
});
