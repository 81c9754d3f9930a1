import { readdirSync, readFileSync } from "node:fs";
import { claimOf, readMessage } from "@tyto/mail";
import { benchmark } from "./benchmark.ts";

const folder = new URL("../../packages/mail/fixtures/reports/", import.meta.url);

/** Delivery reports of every format through the parser on one core: bytes to kind, recipients and reasons. */
export const parser = benchmark({
  name: "parser",
  about: "delivery reports per second through the parser alone",
  options: {
    seconds: { usual: 5, most: 60, about: "to go on for" },
  },
  async run({ seconds: secondsMax }) {
    const messages = readdirSync(folder)
      .filter((file) => file.endsWith(".eml"))
      .map((file) => new Uint8Array(readFileSync(new URL(file, folder))));
    for (const bytes of messages) parse(bytes);
    const samplesMs: number[] = [];
    let bytesRead = 0;
    let recipients = 0;
    let slowestMsPer100KB = 0;
    const startedAt = performance.now();
    const cpuBefore = process.cpuUsage();
    const memoryBefore = process.memoryUsage.rss();
    while (performance.now() - startedAt < secondsMax * 1_000)
      for (const bytes of messages) {
        const at = performance.now();
        recipients += parse(bytes);
        const ms = performance.now() - at;
        samplesMs.push(ms);
        bytesRead += bytes.length;
        slowestMsPer100KB = Math.max(slowestMsPer100KB, ms / Math.max(1, bytes.length / 102_400));
      }
    const seconds = (performance.now() - startedAt) / 1_000;
    const cpu = process.cpuUsage(cpuBefore);
    const sorted = samplesMs.toSorted((a, b) => a - b);
    const at = (share: number) => round(sorted[Math.floor(sorted.length * share)] ?? 0);
    return {
      messages: samplesMs.length,
      cases: messages.length,
      recipients,
      seconds: round(seconds),
      perSecond: Math.round(samplesMs.length / seconds),
      // Beside other work on the machine this is the number that holds.
      perCpuSecond: Math.round(samplesMs.length / ((cpu.user + cpu.system) / 1e6)),
      megabytesPerSecond: round(bytesRead / seconds / 1e6),
      p50Ms: at(0.5),
      p99Ms: at(0.99),
      slowestMs: round(sorted.at(-1) ?? 0),
      slowestMsPer100KB: round(slowestMsPer100KB),
      grownMB: round((process.memoryUsage.rss() - memoryBefore) / 1e6),
    };
  },
});

function parse(bytes: Uint8Array): number {
  const message = readMessage(bytes);
  const claim = message === undefined ? undefined : claimOf(message);
  return claim?.kind === "bounce" ? claim.report.recipients.length : 0;
}

const round = (value: number) => Math.round(value * 1_000) / 1_000;
