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
