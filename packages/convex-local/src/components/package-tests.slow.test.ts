import { expect, test } from "bun:test";
import { join, resolve } from "node:path";

/**
 * The tests that the authors of components publish with them, run on this engine. What is left out, and why:
 * - Tests that change system tables, which only convex-test allows.
 * - Tests that expect convex-test's spelling of a scheduled function: "lib:fn", where Convex has "lib.js:fn".
 * - Reads of an older snapshot inside a mutation that has written, which this engine refuses.
 */
const suites: { file: string; passes: number; skipped?: string[] }[] = [
  {
    file: "aggregate/src/client/index.test.ts",
    passes: 32,
    skipped: ["a stale read does not see writes made in the current transaction"],
  },
  { file: "aggregate/src/component/worker.test.ts", passes: 30 },
  { file: "aggregate/src/component/deadLetter.test.ts", passes: 6 },
  { file: "batch-worker/src/component/lib.test.ts", passes: 23 },
  { file: "rate-limiter/src/component/lib.test.ts", passes: 28 },
  { file: "rate-limiter/src/component/internal.test.ts", passes: 47 },
  { file: "rate-limiter/src/component/getValue.test.ts", passes: 7 },
  { file: "rate-limiter/src/component/worker.test.ts", passes: 10 },
  {
    file: "workpool/src/component/lib.test.ts",
    passes: 16,
    skipped: ["should process work items in batches for cancelAll"],
  },
  { file: "workpool/src/component/loop.test.ts", passes: 24 },
  { file: "workpool/src/component/kick.test.ts", passes: 3 },
  { file: "workpool/src/component/complete.test.ts", passes: 12 },
  { file: "workpool/src/component/recovery.test.ts", passes: 24 },
  { file: "workpool/src/component/config.test.ts", passes: 2 },
  { file: "workpool/src/component/errors.test.ts", passes: 4 },
  {
    file: "workpool/src/component/stateMachine.test.ts",
    passes: 41,
    skipped: ["GC'd scheduledId in running"],
  },
  { file: "workpool/src/client/index.test.ts", passes: 78 },
];

const packages = resolve(import.meta.dir, "../../../../node_modules/@convex-dev");
const preload = resolve(import.meta.dir, "../../fixtures/package-tests/preload.ts");

test.each(suites)(
  "the tests of $file pass",
  async ({ file, passes, skipped }) => {
    // Their own limit of 5 s for a test is too tight for a busy machine.
    const argv = ["test", "--timeout=60000", "--preload", preload, join(packages, file)];
    const child = Bun.spawn([process.execPath, ...argv], {
      // Away from this repository's own settings for tests.
      cwd: packages,
      env: { PATH: process.env.PATH ?? "", SKIPPED_TESTS: JSON.stringify(skipped ?? []) },
      stdout: "ignore",
      stderr: "pipe",
    });
    const [output, code] = await Promise.all([new Response(child.stderr).text(), child.exited]);
    const failed = output.split("\n").filter((line) => line.startsWith("(fail)"));
    expect({ failed, code }).toEqual({ failed: [], code: 0 });
    expect(Number(/^ *(\d+) pass$/m.exec(output)?.[1])).toBeGreaterThanOrEqual(passes);
  },
  300_000,
);
