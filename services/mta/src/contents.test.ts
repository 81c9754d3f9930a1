import { expect, test } from "bun:test";
import { generateKeyPairSync } from "node:crypto";
import { Domain, MessageId } from "@tyto/contracts";
import { createContents } from "./contents.ts";
import type { SigningKey } from "./dkim.ts";

const idOf = (n: number) => MessageId.parse(`01jd400000000000000000000${n}`);
const entryOf = (n: number) => ({ messageId: idOf(n), bodyBytes: 300, bodyChunks: 1 });

function setUp(bytesMax = 1_000) {
  const loads: string[] = [];
  const contents = createContents(
    async ({ messageId }) => {
      loads.push(messageId.slice(-1));
      if (messageId === idOf(9)) throw new Error("gone");
      return Buffer.from(`Subject: ${messageId}\n\n${"x".repeat(300)}`);
    },
    bytesMax,
    () => 0,
  );
  return { contents, loads };
}

test("recipients side by side share one read", async () => {
  const { contents, loads } = setUp();
  const [one, two] = await Promise.all([contents.get(entryOf(1)), contents.get(entryOf(1))]);
  expect(one).toBe(two);
  expect(loads).toEqual(["1"]);
  expect(one.bytes.toString()).toContain("\r\n\r\n");
});

test("the bound holds; the content unused for longest leaves", async () => {
  const { contents, loads } = setUp();
  for (const n of [1, 2]) await contents.get(entryOf(n));
  await contents.get(entryOf(1));
  await contents.get(entryOf(3));
  expect(contents.bytes()).toBeLessThanOrEqual(1_000);
  await contents.get(entryOf(1));
  await contents.get(entryOf(2));
  expect(loads).toEqual(["1", "2", "3", "2"]);
});

test("a message larger than the bound is still sent", async () => {
  const { contents } = setUp(10);
  expect((await contents.get(entryOf(1))).bytes.length).toBeGreaterThan(300);
  expect((await contents.get(entryOf(2))).bytes.length).toBeGreaterThan(300);
});

test("a read that failed is tried again by the next", async () => {
  const { contents, loads } = setUp();
  const [one, two] = await Promise.allSettled([contents.get(entryOf(9)), contents.get(entryOf(9))]);
  expect([one.status, two.status]).toEqual(["rejected", "rejected"]);
  await contents.get(entryOf(1));
  await expect(contents.get(entryOf(9))).rejects.toThrow("gone");
  expect(loads).toEqual(["9", "1", "9"]);
});

test("a forgotten content gives its bytes back", async () => {
  const { contents } = setUp();
  await contents.get(entryOf(1));
  contents.forget(idOf(1));
  expect(contents.bytes()).toBe(0);
});

test("a message is signed once for all of its recipients, and anew for other keys", async () => {
  const { contents } = setUp();
  const content = await contents.get(entryOf(1));
  const key = (selector: string): SigningKey => ({
    domain: Domain.parse("example.com"),
    selector,
    algorithm: "ed25519-sha256",
    key: generateKeyPairSync("ed25519").privateKey,
  });
  const keys = [key("a")];
  expect(await content.signed(keys)).toBe(await content.signed(keys));
  expect((await content.signed([key("b")])).toString()).toContain("s=b");
});

test("bytes above 127 are noticed", async () => {
  const load = async ({ messageId }: { messageId: MessageId }) =>
    Buffer.from(messageId === idOf(1) ? "plain" : "grün");
  const contents = createContents(load, 1_000, () => 0);
  expect((await contents.get(entryOf(1))).has8Bit).toBe(false);
  expect((await contents.get(entryOf(2))).has8Bit).toBe(true);
});
