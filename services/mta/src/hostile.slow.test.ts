import { expect, test } from "bun:test";
import { fuzz } from "./hostile.testing.ts";

/** What 20,000 sessions may leave behind: code that was compiled, buffers of the system, no sessions. */
const growthBytesMax = 250_000_000;

test("20,000 sessions with a hostile server: no crash, no hang, no growth, no wrong delivered", async () => {
  const before = process.memoryUsage.rss();
  const { wrong, counts } = await fuzz({ seed: 20_000, sessions: 20_000, atOnce: 200 });
  expect(wrong).toEqual([]);
  expect(counts.accepted).toBeGreaterThan(1_000);
  expect(counts.refused).toBeGreaterThan(100);
  expect(counts.trouble).toBeGreaterThan(1_000);
  expect(counts.interrupted).toBeGreaterThan(10);
  Bun.gc(true);
  expect(process.memoryUsage.rss() - before).toBeLessThan(growthBytesMax);
}, 240_000);
