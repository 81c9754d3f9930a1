import { expect, test } from "bun:test";
import { places } from "./places.ts";

/** Runs `work` in `count` of the places. */
const within = async <T>(
  { take }: ReturnType<typeof places>,
  count: number,
  work: () => Promise<T>,
): Promise<T> => {
  const giveBack = await take(count);
  try {
    return await work();
  } finally {
    giveBack();
  }
};

test("no more than there are places for are in, and all come in in their order", async () => {
  const room = places(10);
  let inside = 0;
  let most = 0;
  const order: number[] = [];
  const visit = (index: number, count: number) =>
    within(room, count, async () => {
      order.push(index);
      inside += Math.min(count, 10);
      most = Math.max(most, inside);
      await new Promise((resolve) => setImmediate(resolve));
      inside -= Math.min(count, 10);
    });
  await Promise.all([4, 4, 4, 50, 1, 1].map((count, index) => visit(index, count)));
  expect(most).toBe(10);
  expect(order).toEqual([0, 1, 2, 3, 4, 5]);
});

test("what is given back is free again, after a failure too", async () => {
  const room = places(1);
  await expect(within(room, 1, () => Promise.reject(new Error("no")))).rejects.toThrow("no");
  expect(await within(room, 1, async () => "in")).toBe("in");
});

test("giving back twice frees one place only", async () => {
  const { take } = places(1);
  const giveBack = await take();
  giveBack();
  giveBack();
  await take();
  let isIn = false;
  void take().then(() => {
    isIn = true;
  });
  await new Promise((resolve) => setImmediate(resolve));
  expect(isIn).toBe(false);
});
