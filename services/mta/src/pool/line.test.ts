import { expect, test } from "bun:test";
import type { Traffic } from "@tyto/contracts";
import { createLine, type Place } from "./line.ts";

type Item = Place & { name: string };
const item = (name: string, traffic: Traffic = "bulk", owner = name.charAt(0)): Item => ({
  name,
  traffic,
  owner,
});
const lineOf = (...items: Item[]) => {
  const line = createLine<Item>();
  for (const one of items) line.push(one);
  return line;
};
const drain = (line: ReturnType<typeof lineOf>) => {
  const names: string[] = [];
  for (let next = line.shift(); next !== undefined; next = line.shift()) names.push(next.name);
  return names;
};

test("owners take turns, however much one has waiting, and each keeps its order", () => {
  expect(drain(lineOf(...["a1", "a2", "a3", "a4", "b1", "c1", "b2"].map((name) => item(name))))).toEqual([
    "a1",
    "b1",
    "c1",
    "a2",
    "b2",
    "a3",
    "a4",
  ]);
});

test("who comes again while others wait stands behind them", () => {
  const line = lineOf(item("a1"), item("b1"));
  expect(line.shift()?.name).toBe("a1");
  line.push(item("a2"));
  expect(drain(line)).toEqual(["b1", "a2"]);
});

test("transactional mail goes first, and bulk mail still has one turn in ten", () => {
  const urgent = Array.from({ length: 12 }, (_, index) => item(`t${index}`, "transactional"));
  const names = drain(lineOf(item("b1"), item("b2"), ...urgent));
  expect(names.indexOf("b1")).toBe(9);
  expect(names.at(-1)).toBe("b2");
});

test("an item that gives up its place is not there any more", () => {
  const [one, two] = [item("a1"), item("a2")];
  const line = lineOf(one, two);
  expect([line.remove(one), line.remove(one), line.size()]).toEqual([true, false, 1]);
  expect(drain(line)).toEqual(["a2"]);
});

test("a newcomer learns how many have their turn before: few, when the line is one other owner's", () => {
  const line = lineOf(
    ...Array.from({ length: 100 }, (_, index) => item(`a${index}`)),
    item("t", "transactional"),
  );
  expect(line.before({ traffic: "bulk", owner: "a" })).toBe(101);
  expect(line.before({ traffic: "bulk", owner: "b" })).toBe(2);
  expect(line.before({ traffic: "transactional", owner: "b" })).toBe(1);
});
