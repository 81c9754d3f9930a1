/** Work that is done again and again. */
export type Rounds = { stop(): Promise<void> };

/**
 * Does `work` now and every `everyMs` after it was done. What it throws goes to `onError`, and it is tried again the next time. `stop`
 * resolves when what is under way is done.
 */
export function every(everyMs: number, work: () => Promise<void>, onError: (error: unknown) => void): Rounds {
  let timer: Timer | undefined;
  let isStopped = false;
  let underWay = Promise.resolve();
  const round = () => {
    underWay = work()
      .catch(onError)
      .then(() => {
        if (!isStopped) timer = setTimeout(round, everyMs);
      });
  };
  round();
  return {
    async stop() {
      isStopped = true;
      clearTimeout(timer);
      await underWay;
    },
  };
}
