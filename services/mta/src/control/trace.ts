import type { ControlAnswer } from "@tyto/contracts";

type Told = ControlAnswer<"mta.trace">;
export type TraceLine = Told["lines"][number];

/** Who listens to the lines of SMTP sessions, and to which. */
export type Traces = {
  /**
   * Tells whoever listens. Sessions ask `isHeard` first: while nobody listens a line costs one comparison.
   */
  say(to: { domain?: string; site?: string; host: string }, line: TraceLine): void;
  isHeard(): boolean;
  /** Lines to a domain, a site or a host, until `ended`. */
  listen(wanted: string, tell: (told: Told) => void, ended: AbortSignal): void;
};

const tellEveryMs = 100;
/** Lines that wait for their telling; more are left out and counted. */
const waitingMax = 200;
const lineCharsMax = 1_000;

export function createTraces(process: string): Traces {
  const listeners = new Set<{ wanted: string; lines: TraceLine[]; dropped: number }>();

  return {
    isHeard: () => listeners.size > 0,
    say({ domain, site, host }, line) {
      for (const listener of listeners) {
        if (![domain, site, host].some((name) => name?.toLowerCase() === listener.wanted)) continue;
        if (listener.lines.length >= waitingMax) listener.dropped++;
        else listener.lines.push({ ...line, text: masked(line.text).slice(0, lineCharsMax) });
      }
    },
    listen(wanted, tell, ended) {
      const listener = { wanted: wanted.toLowerCase(), lines: [] as TraceLine[], dropped: 0 };
      listeners.add(listener);
      const timer = setInterval(() => {
        if (listener.lines.length === 0 && listener.dropped === 0) return;
        tell({ process, lines: listener.lines.splice(0), dropped: listener.dropped });
        listener.dropped = 0;
      }, tellEveryMs);
      timer.unref();
      ended.addEventListener(
        "abort",
        () => {
          clearInterval(timer);
          listeners.delete(listener);
        },
        { once: true },
      );
    },
  };
}

/** Passwords and tokens never leave the process: what stands behind AUTH, and the lines that answer its challenges. */
export const masked = (text: string) => text.replace(/^(AUTH\s+\S+)\s+\S.*$/is, "$1 ***");
