/** One moment at which something has to have happened; setting a new one takes the place of the old. */
export type Deadline = {
  set(inMs: number): void;
  clear(): void;
  /** Clears it for good and frees the timer. */
  stop(): void;
};

/**
 * A session sets several deadlines per message and hardly ever meets one. So the timer of the first stays armed: when
 * it fires it looks whether the deadline of that moment is over, and waits for the rest if not.
 */
export function createDeadline(expire: () => void): Deadline {
  let untilMs = Number.POSITIVE_INFINITY;
  let firesMs = Number.POSITIVE_INFINITY;
  let timer: Timer | undefined;

  function arm(nowMs: number) {
    clearTimeout(timer);
    firesMs = untilMs;
    timer = setTimeout(look, untilMs - nowMs);
  }
  function look() {
    firesMs = Number.POSITIVE_INFINITY;
    if (untilMs === Number.POSITIVE_INFINITY) return;
    const nowMs = performance.now();
    // Timers fire up to a millisecond early.
    if (nowMs < untilMs - 1) return arm(nowMs);
    untilMs = Number.POSITIVE_INFINITY;
    expire();
  }
  return {
    set(inMs) {
      const nowMs = performance.now();
      untilMs = nowMs + inMs;
      if (untilMs < firesMs) arm(nowMs);
    },
    clear() {
      untilMs = Number.POSITIVE_INFINITY;
    },
    stop() {
      untilMs = Number.POSITIVE_INFINITY;
      clearTimeout(timer);
      firesMs = Number.POSITIVE_INFINITY;
    },
  };
}
