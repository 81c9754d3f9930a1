import { expect, test } from "bun:test";
import { createRoom } from "./room.ts";

test("no more than the room holds are in it, and all come in in their order", async () => {
  const room = createRoom(10);
  let inside = 0;
  let most = 0;
  const order: number[] = [];
  const visit = (index: number, count: number) =>
    room.within(count, async () => {
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

test("a failure inside leaves the room", async () => {
  const room = createRoom(1);
  await expect(room.within(1, () => Promise.reject(new Error("no")))).rejects.toThrow("no");
  expect(await room.within(1, async () => "in")).toBe("in");
});
