/** How much of the traffic of late came to the same, in a window that moves on by tenths of its length. */

/** What came within one tenth. */
type Part = { fromMs: number; attempts: number; matches: number };

/** The oldest first. */
export type ShareWindow = Part[];

const partsPerWindow = 10;

/** Counts one attempt; tells how many there were within the time, and how many of them matched. Changes the window. */
export function countAttempt(
  window: ShareWindow,
  atMs: number,
  isMatch: boolean,
  withinMs: number,
): { attempts: number; matches: number } {
  const partMs = withinMs / partsPerWindow;
  const fromMs = Math.floor(atMs / partMs) * partMs;
  while ((window[0]?.fromMs ?? Number.POSITIVE_INFINITY) <= fromMs - withinMs) window.shift();
  let part = window.at(-1);
  // An outcome that comes late, from a session that took long, counts with the newest ones.
  if (part === undefined || part.fromMs < fromMs) {
    part = { fromMs, attempts: 0, matches: 0 };
    window.push(part);
  }
  part.attempts += 1;
  if (isMatch) part.matches += 1;
  return {
    attempts: window.reduce((sum, { attempts }) => sum + attempts, 0),
    matches: window.reduce((sum, { matches }) => sum + matches, 0),
  };
}
