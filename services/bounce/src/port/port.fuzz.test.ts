/** Sessions of random commands and bytes: nothing crashes, hangs or leaks, and honest mail goes through beside and after. */
import { expect, test } from "bun:test";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Failure } from "@tyto/contracts";
import { Registry, silentLog } from "@tyto/service";
import { generate } from "selfsigned";
import { rounds } from "../../../../test/parts/rounds.ts";
import { openSpool } from "../spool/spool.ts";
import { converse } from "../testing.ts";
import { openPort } from "./port.ts";

const sessionsMax = rounds(80, 400);
const atOnce = 40;

/** Park and Miller's generator: the same sessions every time. */
function random(seed: number) {
  let state = seed;
  const below = (count: number) => {
    state = (state * 48_271) % 2_147_483_647;
    return state % count;
  };
  const pick = <T>(from: readonly T[]): T => from[below(from.length)] as T;
  const bytes = (count: number) => String.fromCharCode(...Array.from({ length: count }, () => below(256)));
  return { below, pick, bytes };
}

const commands = [
  "EHLO x.test",
  "HELO x.test",
  "EHLO",
  "HELO \x00",
  "MAIL FROM:<a@b.test>",
  "MAIL FROM:<>",
  "MAIL FROM:<a@b.test> SIZE=99",
  "MAIL FROM:<a@b.test> SIZE=99999999999999999999",
  "MAIL FROM:<a@b.test> BODY=8BITMIME SMTPUTF8",
  "MAIL FROM:a@b.test",
  "RCPT TO:<ok@example.com>",
  "RCPT TO:<no@example.com>",
  "RCPT TO:<ok@example.com> NOTIFY=NEVER",
  'RCPT TO:<"a\r b"@x>',
  "DATA",
  "BDAT 10 LAST",
  "RSET",
  "NOOP",
  "VRFY root",
  "EXPN all",
  "HELP",
  "TURN",
  "AUTH PLAIN AGEAYg==",
  "AUTH LOGIN",
  "XCLIENT ADDR=127.0.0.1",
  "XFORWARD NAME=x",
  "PROXY TCP4 1.2.3.4 1.2.3.4 1 2",
  "GET / HTTP/1.1",
  "STARTTLS x",
  "QUIT x",
  "__proto__",
  "constructor",
  "handler_DATA",
  "Subject: x",
  "",
  ".",
  "..",
  "\0",
  "\xff\xfe",
  "X".repeat(3_000),
];

test("random sessions leave the port as it was", async () => {
  const dir = await mkdtemp(join(tmpdir(), "tyto-fuzz-"));
  const made = await generate([{ name: "commonName", value: "mail.example.com" }]);
  const spool = await openSpool({ dir, messageBytesMax: 300_000, spoolBytesMax: 2_000_000 });
  const registry = new Registry();
  let honest = 0;
  const port = await openPort({
    host: "127.0.0.1",
    port: 0,
    hostname: "mail.example.com",
    certificate: { key: made.private, cert: made.cert },
    messageBytesMax: 300_000,
    connectionsMax: 200,
    connectionsPerAddressMax: 200,
    spool,
    isOurs: () => true,
    admit: (address) => {
      if (!address.startsWith("ok")) throw new Failure("recipient.unknown", "not here");
      return { address: address as never };
    },
    take: async ({ envelopeFrom, message }) => {
      if (envelopeFrom === "honest@b.test") honest++;
      if (message.bytes % 7 === 0) throw new Error("something broke");
      return ["mail"];
    },
    log: silentLog,
    registry,
  });

  async function wild(seed: number): Promise<void> {
    const { below, pick, bytes } = random(seed + 1);
    const socket = connect(port.port, "127.0.0.1");
    socket.on("error", () => socket.destroy());
    socket.resume();
    const closed = new Promise<void>((resolve) => void socket.once("close", () => resolve()));
    const write = (text: string) =>
      new Promise<void>((resolve) => {
        if (socket.destroyed) return resolve();
        socket.once("close", resolve);
        socket.write(text, "latin1", () => {
          socket.off("close", resolve);
          resolve();
        });
      });
    // One in eight talks too soon.
    if (below(8) > 0) await new Promise<void>((resolve) => void socket.once("data", () => resolve()));
    for (let step = below(30); step > 0 && !socket.destroyed; step--) {
      const end = pick(["\r\n", "\r\n", "\r\n", "\n", "\r", "\r\n\r\n", ""]);
      const kind = below(10);
      if (kind < 6) await write(pick(commands) + end);
      else if (kind === 6) await write(bytes(below(400)));
      else if (kind === 7) await write(`${bytes(below(70))}\r\n`.repeat(below(1_500)));
      else if (kind === 8) await write("..\r\n".repeat(below(3_000)));
      else await write(`\r\n.${end}`);
    }
    if (below(2) === 0) socket.end();
    else socket.destroy();
    if (!socket.destroyed) setTimeout(() => socket.destroy(), 50);
    await closed;
  }

  async function tame(): Promise<void> {
    const socket = connect(port.port, "127.0.0.1");
    const { say, hear } = converse(socket);
    await hear();
    for (const [line, code] of [
      ["EHLO x.test", "250"],
      ["MAIL FROM:<honest@b.test>", "250"],
      ["RCPT TO:<ok@example.com>", "250"],
      ["DATA", "354"],
      ["Subject: x\r\n\r\nhonest mail\r\n.", "250 2.6.0"],
    ] as const) {
      say(line);
      expect(await hear()).toStartWith(code);
    }
    socket.destroy();
  }

  let next = 0;
  const run = async () => {
    for (let seed = next++; seed < sessionsMax; seed = next++) await (seed % 40 === 0 ? tame() : wild(seed));
  };
  await Promise.all(Array.from({ length: atOnce }, run));
  await tame();
  expect(honest).toBe(sessionsMax / 40 + 1);
  const open = async () => Number(/^tyto_bounce_connections (\d+)/m.exec(await registry.metrics())?.[1]);
  for (
    const giveUpAtMs = Date.now() + 30_000;
    (await open()) > 0 || spool.usedBytes() > 0;
    await Bun.sleep(20)
  )
    if (Date.now() > giveUpAtMs)
      throw new Error(`${await open()} connections, ${spool.usedBytes()} bytes stay`);
  expect(await readdir(dir)).toEqual([]);
  await port.stop();
  await rm(dir, { recursive: true });
}, 180_000);
