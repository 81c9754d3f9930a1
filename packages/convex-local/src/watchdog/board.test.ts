import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Board, createBoard, openBoard } from "./board.ts";

const doing = (path: string, passage = 3) => ({ kind: "query", path, hash: "h", passage });

test("what one process writes, the other reads, without a file that stays", () => {
  const directory = mkdtempSync(join(tmpdir(), "convex-board-"));
  const file = join(directory, "board");
  createBoard(file);
  const watcher = openBoard(file, { isLast: false });
  const engine = openBoard(file, { isLast: true });
  rmSync(directory, { recursive: true });
  engine.beginCall(doing("a:b\nc"));
  expect([watcher.beats, watcher.suspects(), watcher.hasBegun(3)]).toEqual([1, [doing("a:b\nc")], true]);
  watcher.arrive(3);
  engine.endCall();
  expect([watcher.suspects(), watcher.hasBegun(3)]).toEqual([[], false]);
});

test("the query or mutation that runs is suspected before actions that wait", () => {
  const board = new Board();
  const places = ["a:1", "a:2"].map((path) => board.beginAction({ ...doing(path), kind: "action" }));
  expect(board.suspects().map(({ path }) => path)).toEqual(["a:1", "a:2"]);
  board.beginCall(doing("q:q"));
  expect(board.suspects().map(({ path }) => path)).toEqual(["q:q"]);
  board.endCall();
  for (const place of places) board.endAction(place);
  expect(board.suspects()).toEqual([]);
});

test("long names and more actions than there is room for do no harm", () => {
  const board = new Board();
  board.beginCall(doing("x".repeat(10_000), -1));
  expect(board.suspects()[0]?.path.length).toBeLessThan(600);
  board.endCall();
  const places = Array.from({ length: 300 }, (_, index) => board.beginAction(doing(`a:${index}`, 99_999)));
  expect(board.suspects().length).toBe(256);
  for (const place of places) board.endAction(place);
  expect(board.suspects()).toEqual([]);
});
