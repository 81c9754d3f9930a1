import type { Host } from "../mx.ts";
import type { Connections } from "./connections.ts";
import type { PoolOptions, Refusal, Want } from "./pool.ts";
import type { Rests } from "./rests.ts";
import type { Connection, Site } from "./site.ts";

/** What a free place is filled with. `hostKey` names the host and the address of ours, `use` who may use the session. */
export type Opening = {
  host: Host;
  want: Want;
  hostKey: string;
  use: string;
  signal: AbortSignal | undefined;
};

/** A session, or why there is none. */
export type Opened<F> = { connection: Connection } | { refusal: Refusal<F> };

/** Opens sessions in places that are free, and gives those back of which nothing comes. */
export class Opener<F> {
  readonly #options: Pick<PoolOptions<F>, "open" | "limits">;
  readonly #connections: Connections;
  readonly #rests: Rests<F>;

  constructor(options: Pick<PoolOptions<F>, "open" | "limits">, connections: Connections, rests: Rests<F>) {
    this.#options = options;
    this.#connections = connections;
    this.#rests = rests;
  }

  async open(site: Site, opening: Opening): Promise<Opened<F>> {
    const { hostKey, use, signal } = opening;
    if (signal?.aborted) return this.#interrupted(site);
    const rested = this.#rests.failureOf(hostKey);
    if (rested !== undefined) {
      this.#connections.giveBack(site);
      return { refusal: rested };
    }
    const opened = await this.#tryOpen(site, opening);
    if (!("failure" in opened)) {
      this.#rests.end(hostKey);
      return { connection: this.#connections.add(site, opened, use) };
    }
    if (signal?.aborted) return this.#interrupted(site);
    if (opened.isRestful) this.#rests.begin(hostKey, site, opened.failure);
    this.#connections.giveBack(site);
    return { refusal: opened.failure };
  }

  async #tryOpen(site: Site, { host, want, signal }: Opening) {
    try {
      return await this.#options.open(host, want, signal);
    } catch (error) {
      this.#interrupted(site);
      throw error;
    }
  }

  /** The site was not asked: the message has not used its leave. */
  #interrupted(site: Site) {
    this.#options.limits.giveBack(site.key);
    this.#connections.giveBack(site);
    return { refusal: { kind: "interrupted" } } as const;
  }
}
