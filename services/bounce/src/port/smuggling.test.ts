/** The published mixes of line ends around the dot, through the real port: one message or an error each, never two. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Registry, silentLog } from "@tyto/service";
import { generate } from "selfsigned";
import { openSpool } from "../spool/spool.ts";
import { converse } from "../testing.ts";
import { type OpenPort, openPort } from "./port.ts";

const cases = join(import.meta.dir, "../../fixtures/smuggling");
let dir: string;
let port: OpenPort;
/** Messages by the address that they came from. */
const taken = new Map<string, string[]>();

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "tyto-smuggling-"));
  const made = await generate([{ name: "commonName", value: "mail.example.com" }]);
  port = await openPort({
    host: "127.0.0.1",
    port: 0,
    hostname: "mail.example.com",
    certificate: { key: made.private, cert: made.cert },
    messageBytesMax: 200_000,
    connectionsMax: 50,
    connectionsPerAddressMax: 50,
    spool: await openSpool({ dir, messageBytesMax: 200_000, spoolBytesMax: 1_000_000 }),
    isOurs: () => true,
    admit: (address) => ({ address: address as never }),
    take: async ({ envelopeFrom, message }) => {
      const text = Buffer.from(await message.front(200_000)).toString("latin1");
      taken.set(envelopeFrom, [...(taken.get(envelopeFrom) ?? []), text]);
      return ["mail"];
    },
    log: silentLog,
    registry: new Registry(),
  });
});
afterAll(async () => {
  await port.stop();
  await rm(dir, { recursive: true });
});

const body = (sequence: string) =>
  `Subject: One\r\n\r\nfirst${sequence}MAIL FROM:<eve@b.test>\r\nRCPT TO:<ok@example.com>\r\nDATA\r\nSubject: Two\r\n\r\nsecond\r\n.\r\n`;
const envelope = (from: string) => `MAIL FROM:<${from}>\r\nRCPT TO:<ok@example.com>\r\nDATA\r\n`;

type Write = (text: string) => Promise<void>;
/** How the bytes come: each as a string for one write. */
const ways: Record<
  string,
  (write: Write, hear: () => Promise<string>, from: string, text: string) => Promise<void>
> = {
  async whole(write, hear, from, text) {
    await write(envelope(from));
    for (let replies = 0; replies < 3; replies++) await hear();
    await write(text);
  },
  async "byte by byte"(write, hear, from, text) {
    await write(envelope(from));
    for (let replies = 0; replies < 3; replies++) await hear();
    for (const byte of text) await write(byte);
  },
  async pipelined(write, hear, from, text) {
    await write(`${envelope(from)}${text}NOOP\r\n`);
    for (let replies = 0; replies < 3; replies++) await hear();
  },
  async "pipelined byte by byte"(write, hear, from, text) {
    for (const byte of `${envelope(from)}${text}`) await write(byte);
    for (let replies = 0; replies < 3; replies++) await hear();
  },
  async "cut at the dot"(write, hear, from, text) {
    await write(envelope(from));
    for (let replies = 0; replies < 3; replies++) await hear();
    const [front = "", ...rest] = text.split(".");
    await write(front);
    for (const piece of rest) {
      await write(".");
      await write(piece);
    }
  },
};

async function send(way: string, from: string, sequence: string): Promise<string> {
  const socket = connect(port.port, "127.0.0.1");
  socket.setNoDelay(true);
  const { say, hear } = converse(socket);
  await hear();
  say("EHLO x.test");
  await hear();
  // Each write becomes a segment of its own: it left before the next one is made.
  const write: Write = (text) => new Promise((resolve) => socket.write(text, "latin1", () => resolve()));
  await ways[way]?.(write, hear, from, body(sequence));
  const reply = await hear();
  socket.destroy();
  return reply;
}

test.each(readdirSync(cases).toSorted())("%s ends nothing, however it comes", async (file) => {
  const { sequence } = (await Bun.file(join(cases, file)).json()) as { sequence: string };
  await Promise.all(
    Object.keys(ways).map(async (way, index) => {
      const from = `${file.slice(0, 2)}-${index}@b.test`;
      const reply = await send(way, from, sequence);
      const messages = taken.get(from) ?? [];
      if (/^[45]/.test(reply)) return expect({ way, messages }).toEqual({ way, messages: [] });
      expect({ way, reply }).toEqual({ way, reply: "250 2.6.0 Stored\r\n" });
      const kept = body(sequence).slice(0, -3).replace("\r\n..", "\r\n.");
      expect({ way, messages }).toEqual({ way, messages: [kept] });
    }),
  );
  expect(taken.get("eve@b.test")).toBeUndefined();
});

test("commands behind a right end are commands, in one write with it", async () => {
  const socket = connect(port.port, "127.0.0.1");
  const { say, hear } = converse(socket);
  await hear();
  say("EHLO x.test");
  await hear();
  socket.write(
    `${envelope("p1@b.test")}Subject: 1\r\n\r\n1\r\n.\r\n${envelope("p2@b.test")}Subject: 2\r\n\r\n2\r\n.\r\nQUIT\r\n`,
  );
  const replies: string[] = [];
  for (let reply = await hear(); reply !== ""; reply = await hear()) replies.push(reply.slice(0, 3));
  expect(replies).toEqual(["250", "250", "354", "250", "250", "250", "354", "250", "221"]);
  expect([taken.get("p1@b.test"), taken.get("p2@b.test")]).toEqual([
    ["Subject: 1\r\n\r\n1\r\n"],
    ["Subject: 2\r\n\r\n2\r\n"],
  ]);
});
