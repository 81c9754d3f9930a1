import { expect, test } from "bun:test";
import { Executor, Slots } from "./executor.ts";
import { SeededRandom } from "./random.ts";

test("work runs one after another, and a failure does not stop the queue", async () => {
  const executor = new Executor(null);
  const seen: string[] = [];
  const work = (name: string) => async () => {
    seen.push(`${name} starts`);
    await Promise.resolve();
    seen.push(`${name} ends`);
    if (name === "b") throw new Error("b fails");
    return name;
  };
  const results = await Promise.allSettled([
    executor.run(work("a")),
    executor.run(work("b")),
    executor.run(work("c")),
  ]);
  expect(seen).toEqual(["a starts", "a ends", "b starts", "b ends", "c starts", "c ends"]);
  expect(results.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
});

test("slots run so many at once, let so many wait, and refuse the rest", async () => {
  const slots = new Slots(2, 1);
  let running = 0;
  let peak = 0;
  let ended = 0;
  const release: (() => void)[] = [];
  const work = async () => {
    peak = Math.max(peak, ++running);
    await new Promise<void>((resolve) => release.push(resolve));
    running--;
    ended++;
  };
  const accepted = [slots.run(work), slots.run(work), slots.run(work)];
  await expect(slots.run(work)).rejects.toThrow("Too many actions");
  while (ended < 3) {
    release.shift()?.();
    await Promise.resolve();
  }
  await Promise.all(accepted);
  expect(peak).toBe(2);
  await slots.run(async () => {});
});

test("the same seed gives the same randomness, another seed other", () => {
  const bytes = (seed: number, chunks: number[]) => {
    const random = new SeededRandom(new Uint8Array(32).fill(seed));
    return Buffer.concat(
      chunks.map((length) => {
        const chunk = Buffer.alloc(length);
        random.fill(chunk);
        return chunk;
      }),
    );
  };
  expect(bytes(1, [1000])).toEqual(bytes(1, [1, 255, 256, 488]));
  expect(bytes(1, [64])).not.toEqual(bytes(2, [64]));
  const random = new SeededRandom();
  const numbers = Array.from({ length: 1000 }, () => random.number());
  expect(numbers.every((number) => number >= 0 && number < 1)).toBe(true);
  expect(new Set(numbers).size).toBe(1000);
});
