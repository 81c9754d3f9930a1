/**
 * Buffers that passed by are memory until the next collection, and the runtime begins one by what its own heap holds: hundreds
 * of megabytes pile up beside it while large messages come. So whoever lets bytes pass counts them here.
 */
export type Sweep = (bytes: number) => void;

/** A full collection takes about 7 ms here. */
const uncollectedBytesMax = 16_777_216;

export function createSweep(): Sweep {
  let uncollectedBytes = 0;
  return (bytes) => {
    uncollectedBytes += bytes;
    if (uncollectedBytes < uncollectedBytesMax) return;
    uncollectedBytes = 0;
    Bun.gc(true);
  };
}
