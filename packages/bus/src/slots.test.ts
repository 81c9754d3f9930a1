import { expect, test } from "bun:test";
import { createSlots } from "./slots.ts";

/** Tasks that run until they are told to end. */
function bench(concurrency: number, places: number[]) {
  const slots = createSlots(concurrency, places);
  const running = new Map<string, () => void>();
  const order: string[] = [];
  return {
    ...{ slots, running, order },
    push(lane: number, name: string, weight = 1) {
      slots.push(lane, {
        weight,
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
  const { push, running, end, order } = bench(2, [2]);
  for (const name of ["a", "b", "c", "d"]) push(0, name);
  expect([...running.keys()]).toEqual(["a", "b"]);
  await end("b");
  expect([...running.keys()]).toEqual(["a", "c"]);
  await end("a");
  expect(order).toEqual(["a", "b", "c", "d"]);
});

test("lanes take turns, however much waits in one", async () => {
  const { push, end, order } = bench(1, [1, 1, 1]);
  for (const name of ["a1", "a2", "a3", "a4"]) push(0, name);
  push(1, "b1");
  push(2, "c1");
  for (const name of ["a1", "b1", "c1", "a2", "a3"]) await end(name);
  expect(order).toEqual(["a1", "b1", "c1", "a2", "a3", "a4"]);
});

test("a lane takes its share of the places and no more", () => {
  const { push, running } = bench(4, [2, 4]);
  for (const name of ["a1", "a2", "a3", "a4"]) push(0, name);
  expect([...running.keys()]).toEqual(["a1", "a2"]);
  push(1, "b1");
  expect([...running.keys()]).toEqual(["a1", "a2", "b1"]);
});

test("a heavy task takes as many places as it weighs", async () => {
  const { push, running, end } = bench(10, [10]);
  push(0, "heavy", 8);
  push(0, "light", 1);
  push(0, "next", 8);
  push(0, "after", 1);
  // One that begins while there is a place may go beyond: else a heavy one would wait for all places to be free.
  expect([...running.keys()]).toEqual(["heavy", "light", "next"]);
  await end("heavy");
  expect([...running.keys()]).toEqual(["light", "next", "after"]);
});

test("what has not begun can be taken back, and idle means that all has ended", async () => {
  const { slots, push, end, order } = bench(1, [1]);
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

test("places that are given back early are others' at once, and one is kept until the end", async () => {
  const slots = createSlots(4, [4]);
  const order: string[] = [];
  let free = (_places: number) => {};
  let end = () => {};
  const pack = new Promise<void>((resolve) => {
    end = resolve;
  });
  slots.push(0, {
    weight: 4,
    run(give) {
      free = give;
      return pack;
    },
  });
  slots.push(0, { weight: 2, run: async () => void order.push("two") });
  expect(order).toEqual([]);
  free(1);
  expect(order).toEqual(["two"]);
  await Bun.sleep(0);
  free(99);
  let isIdle = false;
  void slots.whenIdle().then(() => {
    isIdle = true;
  });
  await Bun.sleep(0);
  expect(isIdle).toBe(false);
  end();
  await Bun.sleep(0);
  expect(isIdle).toBe(true);
});
