/** What is known about the end of a part that was meant to run on. */
export type End = {
  /** Exit code; null when a signal ended it. */
  code: number | null;
  /** How long it ran. */
  livedMs: number;
  /** Ends in a row before this one, each after a short life. */
  failures: number;
  /** Whether it could ever be used in this run. */
  wasReady: boolean;
};

export type Decision =
  | { kind: "restart"; afterMs: number; failures: number }
  | { kind: "give-up"; why: string };

const firstMs = 500;
const waitMsMax = 30_000;
/** A life this long clears earlier failures. */
const soundMs = 60_000;
/** A part that never became ready is broken, not unlucky. One that worked is tried again for as long as it takes. */
const failuresMax = 3;
/** sysexits.h EX_CONFIG: a wrong setting does not mend itself. */
const misconfigured = 78;

export function afterEnd(end: End): Decision {
  if (end.code === misconfigured) return { kind: "give-up", why: "a setting is wrong" };
  const failures = end.livedMs >= soundMs ? 1 : end.failures + 1;
  if (!end.wasReady && failures >= failuresMax)
    return { kind: "give-up", why: `it ended ${failures} times without becoming ready` };
  return { kind: "restart", afterMs: Math.min(waitMsMax, firstMs * 2 ** (failures - 1)), failures };
}
