import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { headerBytesMax } from "../identity.ts";
import { blockBytesMax } from "./arrival.ts";
import { openSpool } from "./spool.ts";

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "tyto-spool-"));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const open = (messageBytesMax = 1_000_000, spoolBytesMax = 2_000_000) =>
  openSpool({ dir, messageBytesMax, spoolBytesMax });
/** The bytes in parts of `size`. */
async function* inParts(text: string | Uint8Array, size: number) {
  const bytes = typeof text === "string" ? Buffer.from(text, "latin1") : text;
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}
const message = (body: string, more = "") => `${more}Message-ID: <1@x.test>\r\nFrom: a@x.test\r\n\r\n${body}`;

test.each([0, 1, 4_096, blockBytesMax - 1, blockBytesMax, blockBytesMax + 1, 3 * blockBytesMax + 7])(
  "%d bytes come back as they were, in parts of any size, and nothing stays",
  async (count) => {
    const bytes = Uint8Array.from({ length: count }, (_, index) => (index * 31) % 256);
    const spool = await open();
    for (const size of [1_000, 70_000]) {
      const spooled = await spool.receive(inParts(bytes, size));
      expect(spooled.bytes).toBe(count);
      const parts: Uint8Array[] = [];
      for await (const part of spooled.chunks()) parts.push(part);
      expect(Buffer.compare(Buffer.concat(parts), bytes)).toBe(0);
      expect(Buffer.compare(await spooled.front(5_000), bytes.subarray(0, 5_000))).toBe(0);
      const files = await readdir(dir);
      expect(files.length).toBe(count >= blockBytesMax ? 1 : 0);
      for (const file of files) expect((await stat(join(dir, file))).mode & 0o777).toBe(0o600);
      expect(spool.usedBytes()).toBe(count >= blockBytesMax ? count : 0);
      await spooled.discard();
      await spooled.discard();
      expect(await readdir(dir)).toEqual([]);
      expect(spool.usedBytes()).toBe(0);
    }
  },
);

test("a message over the limit is refused, whether its end is near or not, and leaves nothing", async () => {
  const spool = await open(100_000);
  for (const count of [100_001, 200_000, 20_000_000]) {
    const receiving = spool.receive(inParts(new Uint8Array(count), 50_000));
    await expect(receiving).rejects.toMatchObject({ code: "request.too-large" });
    expect(await readdir(dir)).toEqual([]);
    expect(spool.usedBytes()).toBe(0);
  }
});

test("when the spool is full the message has to come again, and what was there stays", async () => {
  const spool = await open(1_000_000, 200_000);
  const first = await spool.receive(inParts(new Uint8Array(150_000), 10_000));
  const second = spool.receive(inParts(new Uint8Array(150_000), 10_000));
  await expect(second).rejects.toMatchObject({ code: "storage.full" });
  expect(await readdir(dir)).toHaveLength(1);
  await first.discard();
  await (await spool.receive(inParts(new Uint8Array(150_000), 10_000))).discard();
});

test("while the disk has no room a message has to come again, read to its end and not kept", async () => {
  const storeDisk = { dir, freeMbMin: 2 ** 40 };
  const spool = await openSpool({ dir, messageBytesMax: 1_000_000, spoolBytesMax: 1_000_000, storeDisk });
  const parts = inParts(new Uint8Array(150_000), 10_000);
  await expect(spool.receive(parts)).rejects.toMatchObject({ code: "storage.full" });
  expect((await parts[Symbol.asyncIterator]().next()).done).toBe(true);
  expect(await readdir(dir)).toEqual([]);
});

test("a sender that breaks off leaves nothing", async () => {
  const spool = await open();
  async function* breaking() {
    yield new Uint8Array(100_000);
    throw new Error("ECONNRESET");
  }
  await expect(spool.receive(breaking())).rejects.toThrow("ECONNRESET");
  expect(await readdir(dir)).toEqual([]);
});

test("the next start removes what a crash left, and nothing that is not its own", async () => {
  await writeFile(join(dir, `${crypto.randomUUID()}.eml`), "left");
  await writeFile(join(dir, "precious.eml"), "not ours");
  await open();
  expect(await readdir(dir)).toEqual(["precious.eml"]);
});

const identityOf = async (text: string, size = 100) => {
  const spool = await open();
  const { identity, discard } = await spool.receive(inParts(text, size));
  await discard();
  return identity;
};

test("what servers on the way add does not change what a message is", async () => {
  const first = await identityOf(message("text\r\n", "Received: from a\r\n\tby b; now\r\n"));
  expect(first).toMatch(/^[0-9a-f]{32}$/);
  expect(await identityOf(message("text\r\n", "Received: from c; later\r\nX-Spam: no\r\n"), 7)).toBe(first);
  expect(await identityOf(message("text\r\n").replaceAll("From: a@", "From:\r\n a@"))).toBe(first);
  for (const other of [
    message("other\r\n"),
    message("text\r\n").replace("<1@", "<2@"),
    message("text\r\n").replace("From: a", "From: b"),
    message("text\r\n").replace("\r\n\r\n", "\r\nX: y\r\n\r\n\r\n"),
  ])
    expect(await identityOf(other)).not.toBe(first);
});

test("a header longer than what is looked into counts byte by byte", async () => {
  const long = `X: ${"x".repeat(headerBytesMax)}\r\n${message("text")}`;
  expect(await identityOf(long, 9_999)).toBe(await identityOf(long, 60_000));
  expect(await identityOf(`Received: b\r\n${long}`)).not.toBe(await identityOf(`Received: a\r\n${long}`));
});
