import { expect, test } from "bun:test";
import { BoundedMap } from "./bounded-map.ts";

test("one entry too many makes it forget the one that was set longest ago", () => {
  const map = new BoundedMap<string, number>(2).set("a", 1).set("b", 2).set("c", 3);
  expect([...map]).toEqual([
    ["b", 2],
    ["c", 3],
  ]);
});

test("setting a key again makes it the youngest, reading it does not", () => {
  const map = new BoundedMap<string, number>(2).set("a", 1).set("b", 2).set("a", 3);
  expect(map.get("b")).toBe(2);
  map.set("c", 4);
  expect([...map.keys()]).toEqual(["a", "c"]);
  expect(map.get("a")).toBe(3);
});

test("it forgets in the same order as a list would, whatever is set, deleted and cleared", () => {
  let state = 9;
  const random = (max: number) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state % max;
  };
  const map = new BoundedMap<number, number>(20);
  let list: [number, number][] = [];
  for (let step = 0; step < 20_000; step++) {
    const key = random(50);
    const what = random(100);
    if (what < 85) {
      map.set(key, step);
      list = [...list.filter(([one]) => one !== key), [key, step] as [number, number]].slice(-20);
    } else if (what < 99) {
      map.delete(key);
      list = list.filter(([one]) => one !== key);
    } else {
      map.clear();
      list = [];
    }
    expect([...map]).toEqual(list);
  }
});

/** Processor time of this process: unlike the clock on the wall, other work on the machine does not move it. */
const processorMs = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
};

test("forgetting costs the same however many there are", () => {
  const map = new BoundedMap<number, number>(100_000);
  const startedMs = processorMs();
  for (let i = 0; i < 400_000; i++) map.set(i, i);
  // A walk over all that was deleted before would take half a minute.
  expect(processorMs() - startedMs).toBeLessThan(5_000);
  expect(map.size).toBe(100_000);
});
