import { afterAll, afterEach, expect, test } from "bun:test";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Failure } from "@tyto/contracts";
import { Registry, silentLog } from "@tyto/service";
import { generate } from "selfsigned";
import { until } from "../../../../test/parts/until.ts";
import type { Incoming } from "../intake.ts";
import { openSpool, type Spool } from "../spool/spool.ts";
import { converse } from "../testing.ts";
import { phaseLimits } from "./phases.ts";
import { type OpenPort, openPort, type PortOptions } from "./port.ts";
import { networkOf } from "./sessions.ts";

const made = await generate([{ name: "commonName", value: "mail.example.com" }]);
const taken: Incoming[] = [];
const bodies: string[] = [];
const dir = await mkdtemp(join(tmpdir(), "tyto-limits-"));
let spool: Spool;
let port: OpenPort | undefined;
let registry: Registry;
const sockets: Socket[] = [];
/** The clock of a port that is given one. */
let nowMs = 1_800_000_000_000;

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await port?.stop();
  taken.length = 0;
  bodies.length = 0;
  // Whatever a test did, nothing of it stays on disk.
  while (spool.usedBytes() > 0) await Bun.sleep(1);
  expect(await readdir(dir)).toEqual([]);
});
afterAll(() => rm(dir, { recursive: true }));

async function openWith({
  spoolBytesMax = 1_000_000,
  ...options
}: Partial<PortOptions> & { spoolBytesMax?: number }) {
  registry = new Registry();
  spool = await openSpool({ dir, messageBytesMax: 200_000, spoolBytesMax });
  port = await openPort({
    host: "127.0.0.1",
    port: 0,
    hostname: "mail.example.com",
    certificate: { key: made.private, cert: made.cert },
    messageBytesMax: 200_000,
    connectionsMax: 50,
    connectionsPerAddressMax: 20,
    spool,
    isOurs: () => false,
    admit: (address) => {
      if (!address.startsWith("ok")) throw new Failure("recipient.unknown", "not here");
      return { address: address as never };
    },
    take: async (incoming) => {
      taken.push(incoming);
      bodies.push(Buffer.from(await incoming.message.front(1_000_000)).toString("latin1"));
      return ["mail"];
    },
    log: silentLog,
    registry,
    ...options,
  });
  const at = port.port;
  return () => {
    const socket = connect(at, "127.0.0.1");
    socket.on("error", () => socket.destroy());
    sockets.push(socket);
    return { socket, ...converse(socket) };
  };
}

async function hello(conversation: ReturnType<typeof converse>, ...lines: string[]) {
  await conversation.hear();
  let reply = "";
  for (const line of ["EHLO x.test", ...lines]) {
    conversation.say(line);
    reply = await conversation.hear();
  }
  return reply;
}
const toData = ["MAIL FROM:<a@b.test>", "RCPT TO:<ok@example.com>", "DATA"];
const metric = async (name: string) =>
  Number(
    (await registry.metrics())
      .split("\n")
      .find((line) => line.startsWith(`${name} `))
      ?.split(" ")[1],
  );

test("who guesses addresses is sent away with 421", async () => {
  const open = await openWith({ limits: { refusalsPerSessionMax: 3 } });
  const session = open();
  expect(
    await hello(session, "MAIL FROM:<a@b.test>", "RCPT TO:<x1@b.test>", "RCPT TO:<x2@b.test>"),
  ).toStartWith("550 5.1.1");
  session.say("RCPT TO:<x3@b.test>");
  expect(await session.hear()).toStartWith("421 5.1.1");
  expect(await session.hear()).toBe("");
});

test("one address has a bounded number of connections, and gets its places back", async () => {
  const open = await openWith({ connectionsPerAddressMax: 3 });
  const sessions = [open(), open(), open()];
  for (const session of sessions) expect(await session.hear()).toStartWith("220");
  expect(await open().hear()).toStartWith("421 4.7.1");
  // Those that leave before the greeting were never counted, and give nothing back.
  for (let i = 0; i < 5; i++) open().socket.destroy();
  sessions[0]?.say("QUIT");
  expect(await sessions[0]?.hear()).toStartWith("221");
  await until("there is a place again", async () => (await open().hear()).startsWith("220"), { everyMs: 1 });
  expect(await open().hear()).toStartWith("421");
});

test("connections are bounded in total", async () => {
  const open = await openWith({ connectionsMax: 2 });
  const sessions = [open(), open()];
  for (const session of sessions) expect(await session.hear()).toStartWith("220");
  expect(await open().hear()).toStartWith("421");
});

test("a sender that drips bytes is cut off when its message has taken too long", async () => {
  const open = await openWith({ now: () => nowMs, limits: { lookMs: 10 } });
  const session = open();
  expect(await hello(session, ...toData)).toStartWith("354");
  nowMs += phaseLimits.messageMsMax + 1;
  const drip = setInterval(() => session.socket.write("x"), 20);
  session.socket.on("close", () => clearInterval(drip));
  expect(await session.hear()).toStartWith("421 4.4.2");
  expect(taken).toEqual([]);
});

test("a silent sender is cut off", async () => {
  const open = await openWith({ now: () => nowMs, limits: { lookMs: 10 } });
  const session = open();
  expect(await hello(session)).toStartWith("250");
  nowMs += phaseLimits.commandMsMax + 1;
  expect(await session.hear()).toStartWith("421");
});

test("a session that has lasted long enough ends between two messages", async () => {
  let looks = 0;
  const now = () => {
    looks++;
    return nowMs;
  };
  const open = await openWith({ now, limits: { sessionMsMax: 600_000, lookMs: 10 } });
  const session = open();
  expect(await hello(session, ...toData)).toStartWith("354");
  nowMs += 600_001;
  const before = looks;
  await until("it was looked at", () => looks > before + 2);
  session.say("Subject: x\r\n\r\nx\r\n.");
  expect(await session.hear()).toStartWith("250 2.6.0");
  expect(await session.hear()).toStartWith("421 4.4.2");
});

test("who only talks, or only errs, is sent away with 421", async () => {
  const open = await openWith({ limits: { repliesWithoutMessageMax: 10, errorsPerSessionMax: 5 } });
  for (const [line, reply] of [
    ["NOOP", "250 2.0.0"],
    ["DATA", "503 5.5.1"],
  ] as const) {
    const session = open();
    await hello(session);
    let times = 0;
    for (let heard = reply as string; heard.startsWith(reply); times++) {
      session.say(line);
      heard = await session.hear();
      if (!heard.startsWith(reply)) expect(heard).toStartWith("421 4.7.1");
    }
    expect(times).toBeLessThan(12);
    expect(await session.hear()).toBe("");
  }
});

test("a line that is longer than any command is refused", async () => {
  const open = await openWith({});
  const session = open();
  await hello(session);
  session.say(`NOOP ${"x".repeat(5_000)}`);
  expect(await session.hear()).toStartWith("421 4.3.2");
});

test("every reply to a command has its enhanced status code, and EHLO says so", async () => {
  const open = await openWith({});
  const session = open();
  expect(await hello(session)).toContain("ENHANCEDSTATUSCODES\r\n");
  for (const [line, reply] of [
    ["NOOP", "250 2.0.0"],
    ["WIZ", "500 5.5.2"],
    ["RCPT TO:<ok@example.com>", "503 5.5.1"],
    ["MAIL FROM:<a@b.test> SIZE=999999999", "552 5.3.4"],
    ["MAIL FROM:<<", "501 5.1.7"],
    ["MAIL FROM:<>", "250 2.1.0"],
    ["RCPT TO:<ok@exa\x00mple.com>", "501 5.1.3"],
    ["RCPT TO:<ok@example.com>", "250 2.1.5"],
    ["QUIT", "221 2.0.0"],
  ] as const) {
    session.say(line);
    expect(await session.hear()).toStartWith(reply);
  }
});

test("what a sender leaves behind in the middle of a message is given back, and nobody is woken for it", async () => {
  const errors: string[] = [];
  const open = await openWith({ log: { ...silentLog, error: (event) => void errors.push(event) } });
  const session = open();
  expect(await hello(session, ...toData)).toStartWith("354");
  session.socket.write("y".repeat(150_000));
  while (spool.usedBytes() < 100_000) await Bun.sleep(1);
  expect(await metric("tyto_bounce_spool_bytes")).toBeGreaterThan(100_000);
  expect((await readdir(dir)).length).toBe(1);
  session.socket.destroy();
  while (spool.usedBytes() > 0) await Bun.sleep(1);
  expect(taken).toEqual([]);
  expect(errors).toEqual([]);
});

test("messages on their way in share one bound; who comes too late is asked to try again", async () => {
  const open = await openWith({ spoolBytesMax: 150_000 });
  const [first, second] = [open(), open()];
  expect(await hello(first, ...toData)).toStartWith("354");
  first.socket.write(`${"y".repeat(70)}\r\n`.repeat(1_500));
  while (spool.usedBytes() < 60_000) await Bun.sleep(1);
  expect(await hello(second, ...toData)).toStartWith("354");
  second.socket.write(`${"z".repeat(70)}\r\n`.repeat(1_900));
  second.say(".");
  expect(await second.hear()).toStartWith("452 4.3.1");
  first.say(".");
  expect(await first.hear()).toStartWith("250");
  expect(bodies.map((body) => [body[0], body.length])).toEqual([["y", 108_000]]);
});

test("who sends far more than allowed is refused at once and hung up on, others are not disturbed", async () => {
  const open = await openWith({});
  const [endless, other] = [open(), open()];
  expect(await hello(endless, ...toData)).toStartWith("354");
  const line = Buffer.from(`${"y".repeat(998)}\r\n`.repeat(60));
  const pump = () => {
    while (!endless.socket.destroyed && endless.socket.write(line));
  };
  endless.socket.on("drain", pump);
  pump();
  expect(await endless.hear()).toStartWith("552 5.3.4");
  expect(await hello(other, ...toData)).toStartWith("354");
  other.say("Subject: x\r\n\r\nx\r\n.");
  expect(await other.hear()).toStartWith("250");
  expect(bodies.length).toBe(1);
});

test("when nothing can be stored the sender keeps the message", async () => {
  const open = await openWith({ take: () => Promise.reject(new Failure("upstream.down", "NATS is away")) });
  const session = open();
  await hello(session, ...toData);
  session.say("Subject: x\r\n\r\nx\r\n.");
  expect(await session.hear()).toBe("451 4.3.0 Please try again in a moment\r\n");
});

test("stopping waits for a message that is on its way, and hangs up on the others", async () => {
  let finish = () => {};
  let hasBegun = false;
  const stored = new Promise<void>((resolve) => {
    finish = resolve;
  });
  const open = await openWith({
    take: async (incoming) => {
      hasBegun = true;
      await stored;
      taken.push(incoming);
      return ["mail"];
    },
  });
  const [sending, idle] = [open(), open()];
  await hello(sending, ...toData);
  await hello(idle);
  sending.say("Subject: x\r\n\r\nx\r\n.");
  while (hasBegun === false) await Bun.sleep(1);
  const stopped = port?.stop();
  expect(await idle.hear()).toStartWith("421");
  finish();
  expect(await sending.hear()).toStartWith("250");
  sending.socket.destroy();
  await stopped;
  expect(taken.length).toBe(1);
});

test.each([
  ["192.0.2.7", "192.0.2.7"],
  ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2"],
  ["2001:db8::1", "2001:db8:0:0"],
  ["::1", "0:0:0:0"],
])("%s counts as %s", (ip, network) => {
  expect(networkOf(ip)).toBe(network);
});
