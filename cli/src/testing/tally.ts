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

/** What a test run tells of each failure: its own lines, those before it since the test that ended last. */
const failureLinesMax = 40;
const failuresMax = 20;

/**
 * Gathers failures from the output of `bun test` as it comes, so that they can be told once more at the end: what
 * continuous integration keeps of a long run is often its end alone.
 */
export class Failures {
  readonly found: string[] = [];
  private lines: string[] = [];
  private rest = "";

  add(text: string): void {
    const lines = (this.rest + text).split("\n");
    this.rest = lines.pop() ?? "";
    for (const line of lines) this.read(Bun.stripANSI(line));
  }

  private read(line: string): void {
    this.lines.push(line);
    // `bun test` names failures again at the end of a long run, without their reasons.
    const isNew = line.startsWith("(fail)") && !this.found.some((told) => told.endsWith(line));
    if (isNew && this.found.length < failuresMax)
      this.found.push(this.lines.slice(-failureLinesMax).join("\n").trim());
    if (/^\((pass|fail|skip|todo)\)/.test(line)) this.lines = [];
    else if (this.lines.length > failureLinesMax) this.lines.shift();
  }
}

/** The line that ends a test run, as continuous integration reads it. */
export function formatTally({ passed, failed, skipped }: Tally): string {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`;
}
