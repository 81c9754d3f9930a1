import { writeFile } from "node:fs/promises";

/** nice(1) of a part that gives way: a third of what another one gets when both want the processor. */
const giveWayNice = 5;
/** Linux takes one such change in 100 ms from an ordinary user, and answers EAGAIN to the others. */
const triesMax = 20;
const tryAgainMs = 110;

/** The command of a part that gives way to the others. */
export const givingWay = (argv: readonly string[]): string[] => ["nice", "-n", `${giveWayNice}`, ...argv];

/**
 * The same for its session: where Linux groups processes by session (sched_autogroup_enabled, sched(7)), a nice value is
 * compared only with those of the same session, and each part has its own. Resolves with whether it was set: not every kernel
 * has such groups, and inside a control group they have no effect.
 */
export async function giveWayAsSession(
  pid: number,
  wait: (ms: number) => Promise<void>,
  write: (path: string, text: string) => Promise<void> = writeFile,
): Promise<boolean> {
  for (let tries = 1; ; tries++) {
    try {
      await write(`/proc/${pid}/autogroup`, `${giveWayNice}`);
      return true;
    } catch (error) {
      const isBusy = error instanceof Error && "code" in error && error.code === "EAGAIN";
      if (!isBusy || tries === triesMax) return false;
      await wait(tryAgainMs);
    }
  }
}
