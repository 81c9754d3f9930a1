import { expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { readMessage } from "./message.ts";
import { mutate, processorMs, random, timed } from "./report.testing.ts";
import { claimOf } from "./understand.ts";

const folder = new URL("../fixtures/", import.meta.url);
const originals = readdirSync(folder, { recursive: true })
  .map(String)
  .filter((file) => file.endsWith(".eml"))
  .map((file) => new Uint8Array(readFileSync(new URL(file, folder))));

const rounds = 100_000;
const warmUpRounds = 20_000;

test("a hundred thousand damaged messages: none throws, none takes 50 ms per 100 KB, memory stays flat", async () => {
  const next = random(20_261_122);
  const tooSlow: { round: number; bytes: number; ms: number }[] = [];
  let memory = 0;
  for (let round = 0; round < rounds; round++) {
    const bytes = mutate(originals[round % originals.length] ?? new Uint8Array(), next);
    const startedMs = processorMs();
    const message = readMessage(bytes);
    const claim = message === undefined ? undefined : claimOf(message);
    const ms = processorMs() - startedMs;
    const msMax = 50 * Math.max(1, bytes.length / 102_400);
    if (ms > msMax) {
      const { tookMs } = await timed(msMax, () => {
        const again = readMessage(bytes);
        return again === undefined ? undefined : claimOf(again);
      });
      if (tookMs > msMax) tooSlow.push({ round, bytes: bytes.length, ms: tookMs });
    }
    if (claim?.kind === "bounce") expect(claim.report.recipients.length).toBeLessThanOrEqual(100);
    if (round === warmUpRounds) memory = settledMemory();
  }
  expect(tooSlow).toEqual([]);
  expect(settledMemory() - memory).toBeLessThan(60e6);
}, 600_000);

function settledMemory(): number {
  Bun.gc(true);
  return process.memoryUsage().heapUsed;
}
