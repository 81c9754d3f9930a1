/** How a process stands among the others. */

/**
 * `joining`: uses nothing until the others reckon with this process. `alone`: uses everything. `shared`: uses its
 * claims. `lapsed`: cut off; waits until what it began has ended. `left`: stopped.
 */
export type Mode = "joining" | "alone" | "shared" | "lapsed" | "left";

/** Silence of the bus after which this process uses nothing. Longer than a restart or an election of NATS takes. */
export const lapseMs = 10_000;
/** Silence of another process after which its claims are free. What it had begun has the time between the two to end. */
export const takeMs = 22_000;

/** `id` is that of the life; `isLive` tells whether a claim under an id counts. */
export type Standing = { mode: Mode; id: string; isLive(id: string): boolean };

/** What a process is next whose beats come back to it. `isExpected`: all others reckon with it. */
export function modeAmong(mode: Mode, others: { size: number; isExpected: boolean }): Mode {
  if (others.size === 0) return "alone";
  if (mode === "alone") return "shared";
  return mode === "joining" && others.isExpected ? "shared" : mode;
}
