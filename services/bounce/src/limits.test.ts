import { afterEach, expect, test } from "bun:test";
import { connect, type Socket } from "node:net";
import { Failure } from "@tyto/contracts";
import { Registry, silentLog } from "@tyto/service";
import { generate } from "selfsigned";
import type { Incoming } from "./intake.ts";
import { networkOf, type OpenPort, openPort, type PortOptions } from "./port.ts";
import { converse } from "./testing.ts";

const made = await generate([{ name: "commonName", value: "mail.example.com" }]);
const taken: Incoming[] = [];
let port: OpenPort | undefined;
let registry: Registry;
const sockets: Socket[] = [];

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await port?.stop();
  taken.length = 0;
});

async function openWith(options: Partial<PortOptions>) {
  registry = new Registry();
  port = await openPort({
    host: "127.0.0.1",
    port: 0,
    hostname: "mail.example.com",
    certificate: { key: made.private, cert: made.cert },
    messageBytesMax: 200_000,
    connectionsMax: 50,
    memoryBytesMax: 1_000_000,
    isOurs: () => false,
    admit: (address) => {
      if (!address.startsWith("ok")) throw new Failure("recipient.unknown", "not here");
      return { address: address as never };
    },
    take: async (incoming) => {
      taken.push(incoming);
      return ["received"];
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
  const open = await openWith({ limits: { connectionsPerIpMax: 3 } });
  const sessions = [open(), open(), open()];
  for (const session of sessions) expect(await session.hear()).toStartWith("220");
  expect(await open().hear()).toStartWith("421 4.7.1");
  // Those that leave before the greeting were never counted, and give nothing back.
  for (let i = 0; i < 5; i++) open().socket.destroy();
  sessions[0]?.say("QUIT");
  expect(await sessions[0]?.hear()).toStartWith("221");
  let greeting = "";
  for (let tries = 0; tries < 50 && !greeting.startsWith("220"); tries++) greeting = await open().hear();
  expect(greeting).toStartWith("220");
  expect(await open().hear()).toStartWith("421");
});

test("connections are bounded in total", async () => {
  const open = await openWith({ connectionsMax: 2 });
  const sessions = [open(), open()];
  for (const session of sessions) expect(await session.hear()).toStartWith("220");
  expect(await open().hear()).toStartWith("421");
});

test("a sender that drips bytes is cut off when its session has lasted too long", async () => {
  const open = await openWith({ limits: { sessionMsMax: 500 } });
  const session = open();
  expect(await hello(session, ...toData)).toStartWith("354");
  const drip = setInterval(() => session.socket.write("x"), 20);
  session.socket.on("close", () => clearInterval(drip));
  expect(await session.hear()).toStartWith("421 4.4.2");
  expect(taken).toEqual([]);
});

test("a silent sender is cut off", async () => {
  const open = await openWith({ limits: { idleMsMax: 300 } });
  const session = open();
  expect(await hello(session)).toStartWith("250");
  expect(await session.hear()).toStartWith("421");
});

test("what a sender leaves behind in the middle of a message is given back", async () => {
  const open = await openWith({});
  const session = open();
  expect(await hello(session, ...toData)).toStartWith("354");
  session.socket.write("y".repeat(100_000));
  while ((await metric("tyto_bounce_held_bytes")) < 50_000) await Bun.sleep(1);
  session.socket.destroy();
  while ((await metric("tyto_bounce_held_bytes")) > 0) await Bun.sleep(1);
  expect(taken).toEqual([]);
});

test("messages on their way in share one bound; who comes too late is asked to try again", async () => {
  const open = await openWith({ memoryBytesMax: 150_000 });
  const [first, second] = [open(), open()];
  expect(await hello(first, ...toData)).toStartWith("354");
  first.socket.write(`${"y".repeat(70)}\r\n`.repeat(1_500));
  while ((await metric("tyto_bounce_held_bytes")) < 100_000) await Bun.sleep(1);
  expect(await hello(second, ...toData)).toStartWith("354");
  second.socket.write(`${"z".repeat(70)}\r\n`.repeat(1_500));
  second.say(".");
  expect(await second.hear()).toStartWith("452 4.3.1");
  first.say(".");
  expect(await first.hear()).toStartWith("250");
  expect(taken.map(({ bytes }) => bytes[0])).toEqual([121]);
  expect(await metric("tyto_bounce_held_bytes")).toBe(0);
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
  const stored = new Promise<void>((resolve) => {
    finish = resolve;
  });
  const open = await openWith({
    take: async (incoming) => {
      await stored;
      taken.push(incoming);
      return ["received"];
    },
  });
  const [sending, idle] = [open(), open()];
  await hello(sending, ...toData);
  await hello(idle);
  sending.say("Subject: x\r\n\r\nx\r\n.");
  while ((await metric("tyto_bounce_held_bytes")) === 0) await Bun.sleep(1);
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
