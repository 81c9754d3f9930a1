import { Failure } from "@tyto/contracts";
import type { SMTPConnection } from "smtp-server/lib/smtp-connection.js";
import { overdue, type PhaseLimits } from "./phases.ts";
import type { Refusals } from "./refusals.ts";
import type { Session, Sessions } from "./sessions.ts";

export type PatienceLimits = PhaseLimits & { errorsPerSessionMax: number; repliesWithoutMessageMax: number };

/** What a session may do, and how long it may take for it, before it is sent away. */
export class Patience {
  readonly #sessions: Sessions;
  readonly #refusals: Refusals;
  readonly #limits: PatienceLimits;
  readonly #now: () => number;

  constructor(sessions: Sessions, refusals: Refusals, limits: PatienceLimits, now: () => number) {
    this.#sessions = sessions;
    this.#refusals = refusals;
    this.#limits = limits;
    this.#now = now;
  }

  /** Takes note of a reply of ours before it is sent; false when the session was sent away instead. */
  note({ session: key }: SMTPConnection, code: number): boolean {
    const session = this.#sessions.of(key);
    if (session === undefined) return true;
    const sinceMs = this.#now();
    session.phase = code === 354 ? { kind: "data", sinceMs, bytes: 0 } : { kind: "command", sinceMs };
    if (code === 220 && session.repliesWithoutMessage === 0) session.phase = { kind: "silent", sinceMs };
    if (code >= 400) session.errors++;
    session.repliesWithoutMessage++;
    if (!this.#isTooMuch(session) || code === 421 || code === 221) return true;
    this.#sendAway(session, new Failure("limit.exceeded", "commands or errors of one session"));
    return false;
  }

  /** Ends the sessions that take too long. `isBusy` while connections are scarce. */
  endOverdue(isBusy: boolean): void {
    const nowMs = this.#now();
    for (const session of this.#sessions.all()) {
      if (session.phase.kind === "data") session.phase.bytes = session.stream?.byteLength ?? 0;
      const reason = overdue(session.phase, session.beganAtMs, nowMs, isBusy, this.#limits);
      if (reason !== undefined)
        this.#sendAway(session, new Failure("limit.exceeded", reason), `4.4.2 Closing: ${reason}`);
    }
  }

  #isTooMuch({ errors, repliesWithoutMessage }: Session): boolean {
    return (
      errors > this.#limits.errorsPerSessionMax ||
      repliesWithoutMessage > this.#limits.repliesWithoutMessageMax
    );
  }

  #sendAway({ connection }: Session, failure: Failure, words?: string): void {
    const { responseCode, message } = this.#refusals.farewell(failure);
    // Noted first: the reply must not be judged again.
    this.#sessions.end(connection.session);
    connection.send(responseCode, words ?? message);
    connection.close();
  }
}
