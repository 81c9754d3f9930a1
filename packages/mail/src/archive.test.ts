import { expect, test } from "bun:test";
import { deflateRawSync, gzipSync } from "node:zlib";
import { inflatedBytesMax, unpack } from "./archive.ts";

type File = { name: string; data: Buffer; method?: number; isEncrypted?: boolean; claimedBytes?: number };

function zip(files: readonly File[]): Buffer {
  const front: Buffer[] = [];
  const directory: Buffer[] = [];
  for (const { name, data, method = 8, isEncrypted = false, claimedBytes } of files) {
    const packed = method === 8 ? deflateRawSync(data) : data;
    const at = front.reduce((sum, { length }) => sum + length, 0);
    const local = Buffer.alloc(30);
    local.writeUInt32LE(0x04034b50, 0);
    local.writeUInt16LE(name.length, 26);
    const central = Buffer.alloc(46);
    central.writeUInt32LE(0x02014b50, 0);
    central.writeUInt16LE(isEncrypted ? 1 : 0, 8);
    central.writeUInt16LE(method, 10);
    central.writeUInt32LE(claimedBytes ?? packed.length, 20);
    central.writeUInt16LE(name.length, 28);
    central.writeUInt32LE(at, 42);
    front.push(local, Buffer.from(name), packed);
    directory.push(central, Buffer.from(name));
  }
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(files.length, 10);
  end.writeUInt32LE(
    front.reduce((sum, { length }) => sum + length, 0),
    16,
  );
  return Buffer.concat([...front, ...directory, end]);
}

const text = Buffer.from("<feedback/>".repeat(50));
const textOf = (unpacked: ReturnType<typeof unpack>) =>
  "bytes" in unpacked ? Buffer.from(unpacked.bytes).toString() : unpacked.problem;

test("gzip, zip and neither give the file", () => {
  for (const bytes of [
    text,
    gzipSync(text),
    zip([{ name: "a.xml", data: text }]),
    zip([{ name: "a.xml", data: text, method: 0 }]),
    zip([
      { name: "folder/", data: Buffer.alloc(0) },
      { name: "__MACOSX/a", data: text },
      { name: "a.xml", data: text },
    ]),
  ])
    expect(textOf(unpack(bytes))).toBe(text.toString());
});

const odd: [string, Buffer, RegExp][] = [
  [
    "two files",
    zip([
      { name: "a", data: text },
      { name: "b", data: text },
    ]),
    /holds 2 files/,
  ],
  ["no file", zip([]), /holds 0 files/],
  ["a hundred files", zip(Array.from({ length: 100 }, () => ({ name: "a", data: text }))), /more than 20/],
  ["an encrypted file", zip([{ name: "a", data: text, isEncrypted: true }]), /encrypted/],
  ["an unknown method", zip([{ name: "a", data: text, method: 12 }]), /method 12/],
  ["a size that is a lie", zip([{ name: "a", data: text, claimedBytes: 4_000_000_000 }]), /cut off/],
  ["a zip bomb", zip([{ name: "a", data: Buffer.alloc(40_000_000) }]), /unpacks to more than/],
  ["a gzip bomb", gzipSync(Buffer.alloc(40_000_000)), /unpacks to more than/],
  ["a zip that ends early", zip([{ name: "a", data: text }]).subarray(0, 60), /without its directory/],
  ["a gzip that ends early", gzipSync(text).subarray(0, 20), /damaged/],
];
for (const [name, bytes, problem] of odd)
  test(`${name} is told as what it is`, () => {
    expect(textOf(unpack(bytes))).toMatch(problem);
  });

test("no bytes break it or give more than may be", () => {
  let seed = 11;
  const below = (limit: number) => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
    return seed % limit;
  };
  const models = [zip([{ name: "a.xml", data: text }]), gzipSync(text)];
  for (let round = 0; round < 5_000; round++) {
    const bytes = Buffer.from(models[round % 2] ?? text);
    for (let change = below(6); change >= 0; change--) bytes[below(bytes.length)] = below(256);
    const unpacked = unpack(bytes.subarray(0, below(4) === 0 ? below(bytes.length) : bytes.length));
    if ("bytes" in unpacked) expect(unpacked.bytes.length).toBeLessThanOrEqual(inflatedBytesMax);
    else expect(unpacked.problem).not.toBe("");
  }
});
