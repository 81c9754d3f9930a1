import type { CountingServer } from "./counting-server.ts";
import { until } from "./until.ts";

export type Kill = {
  what: string;
  /** Recipients that had their mail. */
  received: number;
  /** Connections that were open, and those that came in before the next start: nobody can know more of what was in flight. */
  connections: number;
  duplicates: number;
};
export type Tally = {
  accepted: number;
  lost: number;
  duplicates: number;
  /** Duplicates of messages whose first copy came after the last kill. */
  unexplained: number;
  /** Kills after which more came twice than connections were open. */
  excessive: number;
  connectionsAtKills: number;
};

const drainMs = 100;
/** A busy machine may take so long to read what a dead process has sent. */
const drainMsMax = 30_000;

/** What was killed, and what came twice because of it. */
export class Kills {
  readonly list: Kill[] = [];
  /** How many kills were over when the latest copy of each recipient's mail came. */
  readonly #killsBefore = new Map<string, number>();
  #present: Kill | undefined;
  /** Duplicates of messages whose first copy came after the last kill. */
  unexplained = 0;

  /** A copy came to the recipient. */
  note(recipient: string): void {
    const before = this.#killsBefore.get(recipient);
    this.#killsBefore.set(recipient, this.list.length);
    if (before === undefined) return;
    const kill = this.list[before] ?? this.#present;
    if (kill === undefined) this.unexplained++;
    else kill.duplicates++;
  }

  /** Resolves when what the killed one had sent has arrived. `isNobodyLeft`: after the kill nobody sends any more. */
  async during(
    what: string,
    remote: CountingServer,
    kill: () => Promise<unknown>,
    isNobodyLeft: () => boolean,
  ): Promise<Kill> {
    const connectionsBefore = remote.connections();
    const connections = remote.openConnections();
    const present = { what, received: remote.recipients(), connections, duplicates: 0 };
    this.#present = present;
    await kill();
    // What lay in the sockets of a dead process is still read, and each of them ends with it.
    await Bun.sleep(drainMs);
    if (isNobodyLeft())
      await until("the connections of the killed end", () => remote.openConnections() === 0, {
        withinMs: drainMsMax,
        everyMs: drainMs,
      });
    present.connections += remote.connections() - connectionsBefore;
    this.#present = undefined;
    this.list.push(present);
    return present;
  }

  /** `times`: how often the mail of each recipient came. */
  tally(times: readonly number[]): Tally {
    return {
      accepted: times.length,
      lost: times.filter((count) => count === 0).length,
      duplicates: times.reduce((sum, count) => sum + Math.max(0, count - 1), 0),
      unexplained: this.unexplained,
      excessive: this.list.filter((kill) => kill.duplicates > kill.connections).length,
      connectionsAtKills: this.list.reduce((sum, kill) => sum + kill.connections, 0),
    };
  }
}
