import type { Session } from "../smtp.ts";
import type { Connections } from "./connections.ts";
import { type Connection, seeLease } from "./site.ts";

/** `ready` for the next message, `dirty` after a refusal (RSET first), `broken` not to be used again. */
export type ReleaseState = "ready" | "dirty" | "broken";

/** A session that belongs to the caller until it is released. */
export type Lease = {
  kind: "lease";
  session: Session;
  /** It carried a message before; the server may have closed it meanwhile. */
  isReused: boolean;
  /** The message is answered, and nothing more is said until `release`: the session may be closed meanwhile. */
  rest(): void;
  release(state: ReleaseState): void;
};

/** Lends sessions, and takes them back for the next message as long as they can be used. */
export class Leases {
  readonly #connections: Connections;
  readonly #now: () => number;
  #isClosed = false;

  constructor(connections: Connections, now: () => number) {
    this.#connections = connections;
    this.#now = now;
  }

  begin(connection: Connection): Lease {
    const { site, session } = connection;
    const startedMs = this.#now();
    site.leasedAtMs = startedMs;
    let isReleased = false;
    const lease: Lease = {
      kind: "lease",
      session,
      isReused: connection.messages++ > 0,
      rest: () => {
        if (!isReleased) this.#connections.rest(site, lease);
      },
      release: (state) => {
        if (isReleased) return;
        isReleased = true;
        site.resting.delete(lease);
        seeLease(site, startedMs, this.#now());
        void this.#settle(connection, state);
      },
    };
    return lease;
  }

  async #settle(connection: Connection, state: ReleaseState): Promise<void> {
    const { session } = connection;
    const isUsable =
      !this.#isClosed &&
      this.#connections.mayKeep(connection) &&
      (state === "ready" || (state === "dirty" && (await session.reset())));
    if (isUsable && session.isOpen) this.#connections.keep(connection);
    else this.#connections.retire(connection);
  }

  /** From now on, what is released ends. */
  close(): void {
    this.#isClosed = true;
  }
}
