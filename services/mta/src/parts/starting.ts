import type { Log } from "@tyto/service";

/** It is told so often what a start waits for. */
const tellEveryMsUsual = 5_000;

/** What the start of the mta waits for, until it takes mail and answers: for `/readyz`, and every few seconds for the log. */
export function createStarting(log: Pick<Log, "warn">, tellEveryMs = tellEveryMsUsual) {
  const awaited = new Set<string>();
  let isOver = false;
  const timer = setInterval(() => log.warn("mta.start-waits", { for: [...awaited] }), tellEveryMs);
  timer.unref();
  return {
    /** The same promise; `what` is told while it is open. */
    async waits<T>(what: string, work: Promise<T>): Promise<T> {
      awaited.add(what);
      try {
        return await work;
      } finally {
        awaited.delete(what);
      }
    },
    /** Why it is not ready, as `/readyz` tells it. */
    problem(): string | undefined {
      if (isOver) return undefined;
      return awaited.size === 0 ? "still starting" : `waits for ${[...awaited].join(", ")}`;
    },
    /** It works from now on. */
    end(): void {
      isOver = true;
      clearInterval(timer);
    },
  };
}
