/** How many tests passed, failed and were skipped. */
export type Tally = { passed: number; failed: number; skipped: number };

export const nothing: Tally = { passed: 0, failed: 0, skipped: 0 };

export const add = (one: Tally, other: Tally): Tally => ({
  passed: one.passed + other.passed,
  failed: one.failed + other.failed,
  skipped: one.skipped + other.skipped,
});

/**
 * Reads the summary that `bun test` prints last (` 12 pass`, ` 1 skip`, ` 1 todo`, ` 0 fail`). A run that ended badly
 * counts at least one failure, whatever it printed: it may have died before its summary.
 */
export function readTally(output: string, exitCode: number): Tally {
  const counted = (word: string) => {
    const found = [...Bun.stripANSI(output).matchAll(new RegExp(`^ *(\\d+) ${word}$`, "gm"))].at(-1);
    return Number(found?.[1] ?? 0);
  };
  const failed = counted("fail");
  return {
    passed: counted("pass"),
    failed: exitCode === 0 ? failed : Math.max(1, failed),
    skipped: counted("skip") + counted("todo"),
  };
}

/** The line that ends a test run, as continuous integration reads it. */
export function formatTally({ passed, failed, skipped }: Tally): string {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`;
}
