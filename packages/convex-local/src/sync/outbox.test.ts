import { expect, test } from "bun:test";
import { HANDED_OVER_BYTES_MAX, Outbox } from "./outbox.ts";

/** A socket whose client reads only when told to. */
function slowWire() {
  const buffered: string[] = [];
  let bytes = 0;
  let mostBytes = 0;
  return {
    wire: {
      send(text: string) {
        buffered.push(text);
        bytes += text.length;
        mostBytes = Math.max(mostBytes, bytes);
      },
      unsentBytes: () => bytes,
      close() {},
    },
    readAll(): string[] {
      bytes = 0;
      return buffered.splice(0);
    },
    mostBytes: () => mostBytes,
  };
}

test("a slow reader gets everything in order, and the socket's buffer stays small", () => {
  const { wire, readAll, mostBytes } = slowWire();
  const outbox = new Outbox(wire, () => {
    throw new Error("overflow");
  });
  const texts = Array.from({ length: 50 }, (_, i) => String(i % 10).repeat(300_000));
  for (const text of texts) outbox.send(text);
  expect(outbox.isClear()).toBe(false);
  const received: string[] = [];
  for (let read = readAll(); read.length > 0; read = readAll()) {
    received.push(...read);
    outbox.drained();
  }
  expect(received).toEqual(texts);
  expect(outbox.isClear()).toBe(true);
  expect(mostBytes()).toBeLessThanOrEqual(HANDED_OVER_BYTES_MAX + 300_000);
});

test("room for more comes when the client has read, and when the connection ends", async () => {
  const { wire, readAll } = slowWire();
  const outbox = new Outbox(wire, () => {});
  for (let i = 0; i < 20; i++) outbox.send("x".repeat(1_000_000));
  let hasRoom = false;
  const room = outbox.room().then(() => {
    hasRoom = true;
  });
  await Promise.resolve();
  expect(hasRoom).toBe(false);
  for (let i = 0; i < 20; i++) {
    readAll();
    outbox.drained();
  }
  await room;
  for (let i = 0; i < 20; i++) outbox.send("x".repeat(1_000_000));
  const closing = outbox.room();
  outbox.close();
  await closing;
});

test("a client that never reads is cut off before the memory is full", () => {
  const { wire } = slowWire();
  let hasOverflown = false;
  const outbox = new Outbox(wire, () => {
    hasOverflown = true;
    outbox.close();
  });
  for (let i = 0; i < 300; i++) outbox.send("x".repeat(1_000_000));
  expect(hasOverflown).toBe(true);
});
