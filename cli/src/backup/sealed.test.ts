import { expect, test } from "bun:test";
import { type KeySource, newKey } from "./key.ts";
import { seal, unseal } from "./sealed.ts";

const source: KeySource = { kind: "key-file", secret: Buffer.alloc(32, 7) };
const PIECE = 64 * 1024;
const TAG = 16;

async function* inChunks(bytes: Uint8Array, chunkBytes: number) {
  for (let at = 0; at < bytes.byteLength; at += chunkBytes) yield bytes.subarray(at, at + chunkBytes);
}
const all = async (chunks: AsyncIterable<Uint8Array>) => Buffer.concat(await Array.fromAsync(chunks));
const sealed = (plain: Uint8Array, from = source) => all(seal(from, inChunks(plain, 10_000)));
const opened = (bytes: Uint8Array, from = source, chunkBytes = 7777) =>
  all(unseal(from, inChunks(bytes, chunkBytes)));

test.each([0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE, 3 * PIECE + 5])(
  "%p bytes come back as they were",
  async (length) => {
    const plain = crypto.getRandomValues(Buffer.alloc(length % 65_536 || length)).subarray(0, length);
    const bytes = await sealed(plain);
    expect((await opened(bytes)).equals(plain)).toBe(true);
    expect((await opened(bytes, source, 1_000_000)).equals(plain)).toBe(true);
  },
);

test("the same contents never look the same twice", async () => {
  const plain = Buffer.alloc(1000, 1);
  expect((await sealed(plain)).equals(await sealed(plain))).toBe(false);
});

test("a change of any byte is noticed", async () => {
  const bytes = await sealed(Buffer.alloc(2 * PIECE + 10, 1));
  const header = bytes.indexOf(10) + 1;
  for (const at of [header, header + PIECE, header + PIECE + TAG, bytes.byteLength - 1, 20]) {
    const changed = Buffer.from(bytes);
    changed[at] = (changed[at] ?? 0) ^ 1;
    await expect(opened(changed)).rejects.toThrow();
  }
});

test("a file that was cut is noticed, between two pieces too", async () => {
  const bytes = await sealed(Buffer.alloc(3 * PIECE, 1));
  const header = bytes.indexOf(10) + 1;
  for (const end of [
    header,
    header + 5,
    header + PIECE + TAG,
    header + 2 * (PIECE + TAG),
    bytes.byteLength - 1,
  ])
    await expect(opened(bytes.subarray(0, end))).rejects.toThrow("damaged");
});

test("pieces in another order are noticed", async () => {
  const bytes = await sealed(Buffer.alloc(3 * PIECE, 1));
  const header = bytes.indexOf(10) + 1;
  const piece = (number: number) =>
    bytes.subarray(header + number * (PIECE + TAG), header + (number + 1) * (PIECE + TAG));
  const mixed = Buffer.concat([bytes.subarray(0, header), piece(1), piece(0), piece(2)]);
  await expect(opened(mixed)).rejects.toThrow("damaged");
});

test("a wrong passphrase is told from a damaged file, and a key file from a passphrase", async () => {
  const right: KeySource = { kind: "passphrase", secret: Buffer.from("correct horse battery") };
  const bytes = await sealed(Buffer.from("hello"), right);
  expect((await opened(bytes, right)).toString()).toBe("hello");
  await expect(opened(bytes, { ...right, secret: Buffer.from("incorrect horse") })).rejects.toThrow(
    "not the passphrase",
  );
  await expect(opened(bytes)).rejects.toThrow("sealed with a passphrase");
}, 180_000); // Three keys are derived, each at the full cost that a passphrase has.

test("what is no backup is refused as such, and costs that a file states are bounded", async () => {
  await expect(opened(Buffer.from("hello\nworld"))).rejects.toThrow("not a backup");
  await expect(opened(Buffer.alloc(10_000, 65))).rejects.toThrow("not a backup");
  await expect(opened(Buffer.alloc(0))).rejects.toThrow("not a backup");
  const { header } = await newKey(source);
  const costly = { ...header, from: "passphrase", scrypt: { logN: 30, r: 8, p: 1 } };
  await expect(opened(Buffer.from(`${JSON.stringify(costly)}\n`))).rejects.toThrow("not a backup");
});
