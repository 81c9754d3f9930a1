/** What the tests that damage mail, and those that look for what is slow, share. */

/** Processor time of this process: unlike the clock on the wall, other work on the machine does not move it. */
export const processorMs = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
};

const triesMax = 3;

/**
 * What `work` gives, and its processor time. It is done anew as long as it takes more than `msMax`, three times at most: a
 * collection of garbage may fall into any of them, and what is slow is slow again.
 */
export async function timed<T>(
  msMax: number,
  work: () => T | Promise<T>,
): Promise<{ result: T; tookMs: number }> {
  for (let tries = 1; ; tries++) {
    const startedMs = processorMs();
    const result = await work();
    const tookMs = processorMs() - startedMs;
    if (tookMs <= msMax || tries === triesMax) return { result, tookMs };
  }
}

/** Small and seeded, so that a failure comes back: mulberry32. */
export function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

export function mutate(bytes: Uint8Array, next: () => number): Uint8Array {
  let result: Uint8Array = bytes.slice();
  const edits = 1 + Math.floor(next() * 8);
  for (let i = 0; i < edits; i++) {
    const at = Math.floor(next() * result.length);
    const length = Math.floor(next() * 60);
    const kind = Math.floor(next() * 5);
    if (kind === 0) result[at] = Math.floor(next() * 256);
    else if (kind === 1) result = Buffer.concat([result.subarray(0, at), result.subarray(at + length)]);
    else if (kind === 2) {
      const piece = result.slice(at, at + length);
      result = Buffer.concat([result.subarray(0, at), piece, piece, piece, result.subarray(at)]);
    } else if (kind === 3) {
      const odd = ["\r", "\n", "\r\n\r\n", "\0", ";", "=?utf-8?B?", "--", ": ", "\\x{110000}", "550-5.1.1 "];
      result = Buffer.concat([
        result.subarray(0, at),
        new TextEncoder().encode(odd[Math.floor(next() * odd.length)] ?? ""),
        result.subarray(at),
      ]);
    } else result = result.slice(0, at);
  }
  return result;
}
