/** What was asked for last, for `keptMs`: all gauges of one reading look at the same. */
export function keptFor<T>(keptMs: number, ask: () => T, now: () => number): () => T {
  let kept: { answer: T; atMs: number } | undefined;
  return () => {
    if (kept === undefined || now() - kept.atMs >= keptMs) kept = { answer: ask(), atMs: now() };
    return kept.answer;
  };
}

/** An answer that takes long is asked for at most so often, and never for more than a twentieth of the time. */
const askEveryMs = 60_000;
const askShare = 20;

/** The last answer; an old one is told while a new one is on its way, and none before the first or after a failure. */
export function keptBehind<T>(ask: () => Promise<T>, now: () => number): () => T | undefined {
  let last: T | undefined;
  let notBeforeMs = 0;
  const renew = async (startedMs: number) => {
    try {
      last = await ask();
    } catch {
      // Without NATS there is no number; the bus says why.
      last = undefined;
    }
    notBeforeMs = now() + Math.max(askEveryMs, askShare * (now() - startedMs));
  };
  return () => {
    const startedMs = now();
    if (startedMs >= notBeforeMs) {
      notBeforeMs = Number.POSITIVE_INFINITY;
      void renew(startedMs);
    }
    return last;
  };
}
