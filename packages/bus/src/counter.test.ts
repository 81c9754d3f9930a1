import { afterAll, beforeAll, expect, test } from "bun:test";
import { startNats, type TestNats } from "./testing.ts";

let nats: TestNats;
beforeAll(async () => {
  nats = await startNats();
});
afterAll(() => nats.stop());

/** A count without an answer for this long is asked again, and then counts twice: better one too many than one too few. */
const askedAgainMs = 3_000;

/** The result of the first round in which nothing can have been asked again; each round has a key of its own. */
async function undisturbed<T>(work: (key: string) => Promise<T>): Promise<T> {
  for (let round = 0; round < 20; round++) {
    const begunMs = performance.now();
    const result = await work(`key${round}-${crypto.randomUUID()}`);
    if (performance.now() - begunMs < askedAgainMs) return result;
  }
  throw new Error(`each round took more than ${askedAgainMs} ms`);
}

test("each request of a window counts one more, and the next window begins at one", async () => {
  let nowMs = 1_700_000_000_000;
  const bus = await nats.connect("gateway", { now: () => nowMs });
  const counts = await undisturbed(async (key) => {
    nowMs += 1_000 - (nowMs % 1_000);
    const first = await bus.count(key, 1_000);
    nowMs += 999;
    const [second, other] = [await bus.count(key, 1_000), await bus.count(`${key}-other`, 1_000)];
    const twelfth = await bus.count(key, 1_000, 10);
    nowMs += 1;
    return [first, second, other, twelfth, await bus.count(key, 1_000)];
  });
  expect(counts).toEqual([1, 2, 1, 12, 1]);
});

test("no count is told twice, however many count at once", async () => {
  const now = () => 1_700_000_000_000;
  const buses = await Promise.all([nats.connect("gateway", { now }), nats.connect("gateway", { now })]);
  const counts = await undisturbed(async (key) => {
    const told = await Promise.all(
      Array.from({ length: 200 }, (_, index) => buses[index % 2]?.count(key, 1_000)),
    );
    expect(new Set(told).size).toBe(200);
    return told.toSorted((a, b) => Number(a) - Number(b));
  });
  expect(counts).toEqual(Array.from({ length: 200 }, (_, index) => index + 1));
});

test("a window longer than its counter lives is refused", async () => {
  const bus = await nats.connect("gateway");
  await expect(bus.count("key", 90_000)).rejects.toThrow("60000 ms");
});
