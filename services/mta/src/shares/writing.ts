/** Writes what a process decides, and tells it what became of that. */
import type { Bucket } from "@tyto/bus";
import type { Log } from "@tyto/service";
import type { Write, Written } from "./write.ts";

export type WritingPorts = {
  peers: Bucket<"PEERS">;
  shares: Bucket<"SHARES">;
  /** What is to be written now. */
  writes(): Write[];
  written(write: Write, result: Written): void;
  log: Log;
};

export class Writing {
  readonly #ports: WritingPorts;
  #isDue = false;
  #isStopped = false;

  constructor(ports: WritingPorts) {
    this.#ports = ports;
  }

  /** Asks what is to be written behind this turn of the event loop's microtasks: what changes side by side is written once. */
  readonly flush = (): void => {
    if (this.#isDue || this.#isStopped) return;
    this.#isDue = true;
    queueMicrotask(() => {
      this.#isDue = false;
      if (this.#isStopped) return;
      for (const write of this.#ports.writes()) void this.#perform(write);
    });
  };

  /** The revision that it has now, or `undefined` when somebody else wrote first. */
  store(write: Write): Promise<number | undefined> {
    const { peers, shares } = this.#ports;
    return write.kind === "beat"
      ? peers.update(write.key, write.value, write.revision)
      : shares.update(write.key, write.value, write.revision);
  }

  stop(): void {
    this.#isStopped = true;
  }

  async #perform(write: Write): Promise<void> {
    this.#ports.written(write, await this.#try(write));
    this.flush();
  }

  async #try(write: Write): Promise<Written> {
    try {
      const revision = await this.store(write);
      return revision === undefined ? { kind: "lost" } : { kind: "stored", revision };
    } catch (error) {
      this.#ports.log.debug("mta.share-not-stored", { key: write.key, error });
      return { kind: "unknown" };
    }
  }
}
