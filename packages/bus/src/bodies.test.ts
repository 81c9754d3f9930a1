import { afterAll, beforeAll, expect, test } from "bun:test";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { partBytesMax } from "./bodies.ts";
import type { Bus } from "./bus.ts";
import { startNats, type TestNats } from "./testing.ts";

let nats: TestNats;
let bus: Bus;
beforeAll(async () => {
  nats = await startNats();
  bus = await nats.connect("mta");
});
afterAll(() => nats.stop());

/** Pseudo-random, so that a part in the wrong place shows. */
const bytesOf = (count: number) => {
  const bytes = new Uint8Array(count);
  for (let at = 0, state = 1; at < count; at++) {
    state = (state * 1_103_515_245 + 12_345) & 0x7fffffff;
    bytes[at] = state >> 16;
  }
  return bytes;
};

test.each([
  ["empty", 0, 1],
  ["small", 2_500, 1],
  ["exactly one part", partBytesMax, 1],
  ["one byte more than a part", partBytesMax + 1, 2],
  ["5 MB", 5_000_000, 10],
])("a body comes back as it was: %s", async (name, count, parts) => {
  const id = name.replaceAll(" ", "-");
  const bytes = bytesOf(count);
  expect(await bus.bodies.put(id, bytes)).toBe(parts);
  expect(Buffer.compare(await bus.bodies.get(id, parts), bytes)).toBe(0);
});

test("a file goes in and comes out part by part", async () => {
  const file = join(tmpdir(), `tyto-body-${crypto.randomUUID()}`);
  const bytes = bytesOf(3 * partBytesMax + 7);
  await Bun.write(file, bytes);
  try {
    expect(await bus.raw.put("file", Bun.file(file))).toBe(4);
  } finally {
    await rm(file);
  }
  const parts: Uint8Array[] = [];
  for await (const part of bus.raw.read("file", 4)) parts.push(part);
  expect(parts.map(({ length }) => length)).toEqual([partBytesMax, partBytesMax, partBytesMax, 7]);
  expect(Buffer.compare(Buffer.concat(parts), bytes)).toBe(0);
});

test("a raw message that was dropped is gone, and can be stored again", async () => {
  await bus.raw.put("again", bytesOf(partBytesMax + 1));
  await bus.raw.drop("again", 2);
  await expect(bus.raw.get("again", 2)).rejects.toMatchObject({ code: "resource.unknown" });
  await bus.raw.put("again", bytesOf(5));
  expect((await bus.raw.get("again", 1)).length).toBe(5);
});

test("putting a body twice is harmless", async () => {
  const bytes = bytesOf(1_000_000);
  await Promise.all([bus.bodies.put("twice", bytes), bus.bodies.put("twice", bytes)]);
  expect(Buffer.compare(await bus.bodies.get("twice", 2), bytes)).toBe(0);
});

test.each([
  ["not known", undefined],
  ["known", 2],
])("a dropped body is gone at once, its number of parts %s, and the next one stays", async (_, parts) => {
  const bytes = bytesOf(partBytesMax + 10);
  await bus.bodies.put("gone", bytes);
  await bus.bodies.put("gone-not", bytes);
  await bus.bodies.drop("gone", parts);
  for (const wanted of [1, 2])
    await expect(bus.bodies.get("gone", wanted)).rejects.toMatchObject({ code: "resource.unknown" });
  expect((await bus.bodies.get("gone-not", 2)).length).toBe(bytes.length);
});

test("a missing part is told, never skipped", async () => {
  await bus.bodies.put("short", bytesOf(10));
  await expect(bus.bodies.get("short", 2)).rejects.toMatchObject({ code: "resource.unknown" });
});

test("an id that would reach further than its own parts is refused", async () => {
  for (const id of ["a.b", "*", ">", "", "a b"])
    await expect(bus.bodies.drop(id)).rejects.toThrow("is not a subject token");
});
