import { expect, test } from "bun:test";
import { createSlots } from "./slots.ts";

/** Tasks that run until they are told to end. */
function bench(concurrency: number, perLane: number, lanes: number) {
  const slots = createSlots(concurrency, perLane, lanes);
  const running = new Map<string, () => void>();
  const order: string[] = [];
  return {
    ...{ slots, running, order },
    push(lane: number, name: string, key?: string) {
      slots.push(lane, {
        ...(key !== undefined && { key }),
        run: () =>
          new Promise((resolve) => {
            order.push(name);
            running.set(name, resolve);
          }),
      });
    },
    async end(name: string) {
      running.get(name)?.();
      running.delete(name);
      await Bun.sleep(0);
    },
  };
}

test("no more run than there are places", async () => {
  const { push, running, end, order } = bench(2, 2, 1);
  for (const name of ["a", "b", "c", "d"]) push(0, name);
  expect([...running.keys()]).toEqual(["a", "b"]);
  await end("b");
  expect([...running.keys()]).toEqual(["a", "c"]);
  await end("a");
  expect(order).toEqual(["a", "b", "c", "d"]);
});

test("lanes take turns, however much waits in one", async () => {
  const { push, end, order } = bench(1, 1, 3);
  for (const name of ["a1", "a2", "a3", "a4"]) push(0, name);
  push(1, "b1");
  push(2, "c1");
  for (const name of ["a1", "b1", "c1", "a2", "a3"]) await end(name);
  expect(order).toEqual(["a1", "b1", "c1", "a2", "a3", "a4"]);
});

test("a lane takes its share of the places and no more", () => {
  const { push, running } = bench(4, 2, 2);
  for (const name of ["a1", "a2", "a3", "a4"]) push(0, name);
  expect([...running.keys()]).toEqual(["a1", "a2"]);
  push(1, "b1");
  expect([...running.keys()]).toEqual(["a1", "a2", "b1"]);
});

test("two with the same key follow each other, others pass them", async () => {
  const { push, running, end } = bench(3, 3, 1);
  push(0, "first", "k");
  push(0, "second", "k");
  push(0, "other", "j");
  expect([...running.keys()]).toEqual(["first", "other"]);
  await end("first");
  expect([...running.keys()]).toEqual(["other", "second"]);
});

test("what has not begun can be taken back, and idle means that all has ended", async () => {
  const { slots, push, end, order } = bench(1, 1, 1);
  push(0, "a");
  push(0, "b");
  let isIdle = false;
  slots.clear();
  const idle = slots.whenIdle().then(() => {
    isIdle = true;
  });
  await Bun.sleep(0);
  expect(isIdle).toBe(false);
  await end("a");
  await idle;
  expect(order).toEqual(["a"]);
});
