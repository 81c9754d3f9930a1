/**
 * Three processes, a real nats-server and a server that counts its connections: killed, frozen and cut off, they never use
 * more than the limit in sum, as the server sees it, and soon use all of it again.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { connect, createServer, type Server, type Socket } from "node:net";
import { startNats, type TestNats } from "@tyto/bus/testing";
import { until } from "../../../../test/parts/until.ts";
import type { SenderSettings } from "./sender.testing.ts";

const limit = { connectionsMax: 20, perMinute: 1_200 };

let nats: TestNats;
let sink: Awaited<ReturnType<typeof startSink>>;
const senders = new Map<string, { process: Bun.Subprocess; line: Awaited<ReturnType<typeof startLine>> }>();
beforeAll(async () => {
  nats = await startNats({ users: true });
  sink = await startSink();
});
afterAll(async () => {
  for (const { process, line } of senders.values()) {
    process.kill("SIGKILL");
    line.server.close();
  }
  sink.server.close();
  await nats.stop();
});

const listen = (server: Server): Promise<number> =>
  new Promise((resolve) =>
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      resolve(typeof address === "object" && address !== null ? address.port : 0);
    }),
  );

/** Counts what is open, the most that ever was, and the messages. */
async function startSink() {
  const seen = { open: 0, openMax: 0, messages: 0 };
  const server = createServer((socket) => {
    seen.open++;
    seen.openMax = Math.max(seen.openMax, seen.open);
    socket.on("data", (data) => {
      seen.messages += data.length;
    });
    socket.on("error", () => socket.destroy());
    socket.on("close", () => {
      seen.open--;
    });
  });
  return { server, seen, port: await listen(server) };
}

/** A way to nats-server that can be cut without either end noticing. */
async function startLine(target: number) {
  const pairs = new Set<[Socket, Socket]>();
  let isCut = false;
  const server = createServer((near) => {
    const far = connect(target, "127.0.0.1");
    pairs.add([near, far]);
    const pass = (from: Socket, to: Socket) => {
      from.on("data", (data) => to.write(data));
      from.on("close", () => to.destroy());
      from.on("error", () => to.destroy());
    };
    pass(near, far);
    pass(far, near);
    if (isCut) for (const socket of [near, far]) socket.pause();
  });
  return {
    server,
    port: await listen(server),
    cut(now: boolean) {
      isCut = now;
      for (const socket of [...pairs].flat()) now ? socket.pause() : socket.resume();
    },
  };
}

async function start(name: string): Promise<void> {
  const { url, user = "", password = "" } = nats.login("mta");
  const line = await startLine(Number(new URL(url).port));
  const settings: SenderSettings = {
    login: { url: `nats://127.0.0.1:${line.port}`, user, password },
    name,
    sinkPort: sink.port,
    limit,
  };
  const child = Bun.spawn(["bun", `${import.meta.dir}/sender.testing.ts`, JSON.stringify(settings)], {
    stdout: "pipe",
    stderr: "inherit",
  });
  await child.stdout.getReader().read();
  senders.set(name, { process: child, line });
}
const senderOf = (name: string) => {
  const sender = senders.get(name);
  if (sender === undefined) throw new Error(`${name} does not run`);
  return sender;
};
const isFull = (withinMs: number) =>
  until("all connections are in use", () => sink.seen.open === limit.connectionsMax, {
    withinMs,
    everyMs: 5,
  });

/** How much of the limits is used over some time. */
async function usage(ms: number): Promise<{ connections: number; rate: number }> {
  const [startedMs, messages] = [performance.now(), sink.seen.messages];
  let [open, samples] = [0, 0];
  while (performance.now() < startedMs + ms) {
    open += sink.seen.open;
    samples++;
    await Bun.sleep(10);
  }
  const minutes = (performance.now() - startedMs) / 60_000;
  return {
    connections: open / samples / limit.connectionsMax,
    rate: (sink.seen.messages - messages) / minutes / limit.perMinute,
  };
}

test("three processes together keep a limit of connections and of messages, whatever becomes of them", async () => {
  await start("one");
  await isFull(10_000);
  await start("two");
  await start("three");
  await Bun.sleep(3_000);
  await isFull(10_000);
  const shared = await usage(10_000);
  // `bench shares` measures how much of the limits is in use; a busy machine uses less, and never more.
  expect(shared.connections).toBeGreaterThan(0.5);
  expect(shared.rate).toBeGreaterThan(0.5);
  expect(shared.rate).toBeLessThan(1.1);

  // A death: the part is used again within 30 s.
  const { process: dying } = senderOf("three");
  dying.kill("SIGKILL");
  await dying.exited;
  senders.delete("three");
  await until("its connections are gone", () => sink.seen.open < limit.connectionsMax, { withinMs: 5_000 });
  await isFull(30_000);

  // Back under its name, and killed and back again: it has its part at once.
  await start("three");
  await isFull(10_000);
  senderOf("three").process.kill("SIGKILL");
  await senderOf("three").process.exited;
  await start("three");
  await isFull(10_000);

  // Cut off from NATS: it closes what it has before the others take it.
  const { line } = senderOf("two");
  line.cut(true);
  await until("it stops by its own clock", () => sink.seen.open < limit.connectionsMax, { withinMs: 15_000 });
  await isFull(30_000);
  line.cut(false);
  await Bun.sleep(6_000);
  await isFull(10_000);

  // nats-server itself goes and comes back.
  await nats.kill();
  await nats.restart();
  await Bun.sleep(5_000);
  await isFull(15_000);
  const after = await usage(5_000);
  expect(after.connections).toBeGreaterThan(0.5);
  expect(sink.seen.openMax).toBe(limit.connectionsMax);
}, 240_000);
