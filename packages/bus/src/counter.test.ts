import { afterAll, beforeAll, expect, test } from "bun:test";
import { startNats, type TestNats } from "./testing.ts";

let nats: TestNats;
beforeAll(async () => {
  nats = await startNats();
});
afterAll(() => nats.stop());

test("each request of a window counts one more, and the next window begins at one", async () => {
  let nowMs = 1_700_000_000_000;
  const bus = await nats.connect("gateway", { now: () => nowMs });
  expect(await bus.count("key", 1_000)).toBe(1);
  nowMs += 999;
  expect(await bus.count("key", 1_000)).toBe(2);
  expect(await bus.count("other", 1_000)).toBe(1);
  expect(await bus.count("key", 1_000, 10)).toBe(12);
  nowMs += 1;
  expect(await bus.count("key", 1_000)).toBe(1);
});

test("no count is told twice, however many count at once", async () => {
  const now = () => 1_700_000_000_000;
  const buses = await Promise.all([nats.connect("gateway", { now }), nats.connect("gateway", { now })]);
  const counts = await Promise.all(
    Array.from({ length: 200 }, (_, index) => buses[index % 2]?.count("busy", 1_000)),
  );
  expect(counts.toSorted((a, b) => Number(a) - Number(b))).toEqual(
    Array.from({ length: 200 }, (_, index) => index + 1),
  );
});

test("a window longer than its counter lives is refused", async () => {
  const bus = await nats.connect("gateway");
  await expect(bus.count("key", 90_000)).rejects.toThrow("60000 ms");
});
