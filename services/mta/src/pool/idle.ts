import type { Connection, Site } from "./site.ts";

/** The sessions of all sites that wait for their next message. */
export class IdleSessions {
  readonly #idleMsMax: number;
  readonly #expire: (connection: Connection) => void;
  #count = 0;

  /** `expire` is told of those that have waited for too long. */
  constructor(idleMsMax: number, expire: (connection: Connection) => void) {
    this.#idleMsMax = idleMsMax;
    this.#expire = expire;
  }

  get count(): number {
    return this.#count;
  }

  add(connection: Connection): void {
    connection.isIdle = true;
    connection.site.idle.push(connection);
    this.#count++;
  }
  /** It is not handed on at once: its time begins. */
  limit(connection: Connection): void {
    connection.timer = setTimeout(this.#expire, this.#idleMsMax, connection);
  }

  /** The session used last is the least likely to have been closed by the server. */
  take(site: Site, use: string): Connection | undefined {
    const { idle } = site;
    for (let at = idle.length - 1; at >= 0; at--) {
      const connection = idle[at];
      if (connection?.use === use && this.remove(connection)) return connection;
    }
    return undefined;
  }

  /** False when it does not wait. */
  remove(connection: Connection): boolean {
    if (!connection.isIdle) return false;
    const { idle } = connection.site;
    idle.splice(idle.indexOf(connection), 1);
    clearTimeout(connection.timer);
    connection.isIdle = false;
    this.#count--;
    return true;
  }
}
