/** Hears what all processes write: the records of claims, and the beats of who lives. */
import type { Bus } from "@tyto/bus";
import type { PeerRecord, ShareRecord } from "@tyto/contracts";
import type { Log } from "@tyto/service";

/** A bus that does not let us watch is asked again after this time. */
const watchAgainMs = 1_000;

export type FollowingPorts = {
  bucket: Bus["bucket"];
  seeBeat(name: string, beat: PeerRecord | undefined, revision: number): void;
  seeRecord(key: string, record: ShareRecord | undefined, revision: number): void;
  log: Log;
};

export class Following {
  readonly #ports: FollowingPorts;
  #watches: { stop(): void }[] = [];
  /** What an earlier watch still brings is not heard. */
  #generation = 0;
  #isStopped = false;

  constructor(ports: FollowingPorts) {
    this.#ports = ports;
  }

  /** Hears everything from the start, in its order. Throws when the bus cannot be watched. */
  async begin(): Promise<void> {
    const own = ++this.#generation;
    this.#close();
    const { bucket, seeBeat, seeRecord } = this.#ports;
    const heard =
      <Heard extends unknown[]>(see: (...heard: Heard) => void) =>
      (...what: Heard) => {
        if (own === this.#generation) see(...what);
      };
    const opened: { stop(): void }[] = [];
    try {
      // What was used is known before who is there: nobody can be alone who has not seen all claims.
      opened.push(await bucket("SHARES").watch(heard(seeRecord)));
      opened.push(await bucket("PEERS").watch(heard(seeBeat)));
    } finally {
      if (own === this.#generation) this.#watches = opened;
      else for (const late of opened) late.stop();
    }
  }

  /** The same, as often as it takes. */
  async beginAnew(): Promise<void> {
    while (!this.#isStopped) {
      try {
        return await this.begin();
      } catch (error) {
        this.#ports.log.warn("mta.shares-watch-failed", { error });
        await Bun.sleep(watchAgainMs);
      }
    }
  }

  stop(): void {
    this.#isStopped = true;
    this.#generation++;
    this.#close();
  }

  #close(): void {
    for (const watch of this.#watches.splice(0)) watch.stop();
  }
}
