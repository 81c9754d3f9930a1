/**
 * Three mta processes, a real nats-server and a site that counts its connections: killed, cut off and started again, they never
 * use more than the limit in sum, as the site sees it, and soon use all of it again. How much of it on average, `bench shares` measures.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { connect, createServer, type Server, type Socket } from "node:net";
import { startNats, type TestNats } from "@tyto/bus/testing";
import { type Mta, type Sending, startSending } from "../../../../test/parts/sending.ts";
import { type SiteServer, startSiteServer } from "../../../../test/parts/site-server.ts";
import { until } from "../../../../test/parts/until.ts";

const connectionsMax = 12;
const answerMs = 100;
/** Some ten seconds of work for all of them. */
const messagesAtOnce = 1_000;
const acceptedAtOnce = 50;

let nats: TestNats;
let site: SiteServer;
let sending: Sending;
let isOver = false;
let feeding: Promise<void>;
const lines: Line[] = [];
beforeAll(async () => {
  nats = await startNats({ users: true, syncAlways: true });
  site = await startSiteServer(answerMs);
  sending = await startSending(nats, {
    env: { TYTO_ROUTES: `*=${site.address}`, MTA_SITE_LIMITS: `${site.name}:connections=${connectionsMax}` },
  });
  feeding = feed();
});
afterAll(async () => {
  isOver = true;
  await feeding;
  await sending.stop();
  for (const { server } of lines) server.close();
  await nats.stop();
  await site.stop();
}, 300_000);

/** Keeps mail waiting for everybody. */
async function feed(): Promise<void> {
  while (!isOver)
    if (sending.accepted() - site.takenMs.length < messagesAtOnce) await sending.accept(acceptedAtOnce);
    else await Bun.sleep(10);
}

const listen = (server: Server): Promise<number> =>
  new Promise((resolve) =>
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      resolve(typeof address === "object" && address !== null ? address.port : 0);
    }),
  );

type Line = { server: Server; port: number; cut(now: boolean): void };
/** A way to nats-server that can be cut without either end noticing. */
async function startLine(target: number): Promise<Line> {
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
  const line = {
    server,
    port: await listen(server),
    cut(now: boolean) {
      isCut = now;
      for (const socket of [...pairs].flat()) now ? socket.pause() : socket.resume();
    },
  };
  lines.push(line);
  return line;
}

const hostOf = (name: string) => `${name}.tyto.test`;
const openOf = (name: string) => site.openOf(hostOf(name));
const start = (name: string, env: Readonly<Record<string, string>> = {}): Promise<Mta> =>
  sending.startMta(name, { MAIL_HOSTNAME: hostOf(name), ...env });
const kill = async (name: string, { process }: Mta) => {
  process.kill("SIGKILL");
  await process.exited;
  await until(`the connections of ${name} are gone`, () => openOf(name) === 0);
};
const isShared = () => ["one", "two", "three"].every((name) => openOf(name) === connectionsMax / 3);
const isFull = (withinMs: number) =>
  until("all connections are in use", () => site.open() === connectionsMax, { withinMs, everyMs: 5 });
test("three mta processes together keep a limit of connections, whatever becomes of them", async () => {
  const line = await startLine(Number(new URL(nats.login("mta").url).port));
  await start("one");
  await isFull(30_000);
  await start("two", { NATS_URL: `nats://127.0.0.1:${line.port}` });
  const three = await start("three");
  await until("each has its part", () => isShared(), { withinMs: 60_000, everyMs: 5 });

  // One dies, one is cut off from NATS and closes what it has before others take it.
  line.cut(true);
  await kill("three", three);
  await until("it stops by its own clock", () => openOf("two") === 0, { withinMs: 60_000 });
  expect(site.open()).toBeLessThanOrEqual(connectionsMax / 3);
  await until("the last one has everything", () => openOf("one") === connectionsMax, { withinMs: 60_000 });

  // Both are back, and one more dies and comes back under its name: it has its part at once.
  line.cut(false);
  const again = await start("three");
  await until("each has its part", () => isShared(), { withinMs: 60_000, everyMs: 5 });
  await kill("three", again);
  await start("three");
  await until("it has its part", () => openOf("three") === connectionsMax / 3, { withinMs: 15_000 });

  // nats-server itself goes and comes back.
  await nats.kill();
  await nats.restart();
  await isFull(30_000);
  expect(site.openMax()).toBe(connectionsMax);
}, 400_000);
