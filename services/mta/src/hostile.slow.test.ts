import { expect, test } from "bun:test";
import { fuzz } from "./hostile.testing.ts";

/** The first sessions leave compiled code and the system's buffers behind; after them, the many others may leave this. */
const growthBytesMax = 200_000_000;

test("20,000 sessions with a hostile server: no crash, no hang, no growth, no wrong delivered", async () => {
  const first = await fuzz({ seed: 20_000, sessions: 5_000, atOnce: 200 });
  Bun.gc(true);
  const before = process.memoryUsage.rss();
  const { wrong, counts } = await fuzz({ seed: 20_001, sessions: 15_000, atOnce: 200 });
  expect([...first.wrong, ...wrong]).toEqual([]);
  expect(counts.accepted).toBeGreaterThan(1_000);
  expect(counts.refused).toBeGreaterThan(100);
  expect(counts.trouble).toBeGreaterThan(1_000);
  expect(counts.interrupted).toBeGreaterThan(10);
  Bun.gc(true);
  process.stdout.write(
    `15,000 sessions grew the process by ${Math.round((process.memoryUsage.rss() - before) / 1e6)} MB\n`,
  );
  expect(process.memoryUsage.rss() - before).toBeLessThan(growthBytesMax);
}, 240_000);
