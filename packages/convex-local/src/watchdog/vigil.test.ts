import { expect, test } from "bun:test";
import { type Sight, Vigil } from "./vigil.ts";

const limits = { stallCpuMsMax: 5000, stallMsMax: 60_000, callMemoryBytesMax: 500, memoryBytesMax: 1000 };
const sight = (change: Partial<Sight>): Sight => ({
  nowMs: 0,
  beats: 1,
  cpuMs: 0,
  residentBytes: 100,
  ...change,
});

test("an engine that gets on may use as much time as it likes", () => {
  const vigil = new Vigil(limits);
  for (let beats = 0; beats < 100; beats++) {
    expect(vigil.judge(sight({ beats, nowMs: beats * 50_000, cpuMs: beats * 4000 }))).toBeNull();
  }
});

test("an engine that computes without a beat is ended; one that is only not given the processor is not", () => {
  const vigil = new Vigil(limits);
  vigil.judge(sight({}));
  expect(vigil.judge(sight({ nowMs: 50_000, cpuMs: 4999 }))).toBeNull();
  expect(vigil.judge(sight({ nowMs: 50_001, cpuMs: 5001 }))).toBe("time");
});

test("an engine that waits without a beat is ended after a minute", () => {
  const vigil = new Vigil(limits);
  vigil.judge(sight({}));
  expect(vigil.judge(sight({ nowMs: 60_001 }))).toBe("time");
});

test("memory counts from the last beat for one call, and altogether for all", () => {
  const vigil = new Vigil(limits);
  vigil.judge(sight({}));
  expect(vigil.judge(sight({ beats: 2, residentBytes: 590 }))).toBeNull();
  expect(vigil.judge(sight({ beats: 2, residentBytes: 990 }))).toBeNull();
  expect(vigil.judge(sight({ beats: 3, residentBytes: 1001 }))).toBe("memory");
  const other = new Vigil(limits);
  other.judge(sight({}));
  expect(other.judge(sight({ residentBytes: 601 }))).toBe("memory");
});
