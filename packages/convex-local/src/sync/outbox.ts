/** The socket as a connection needs it. */
export type Wire = {
  send(text: string): void;
  /** Bytes that were handed over and that the client has not taken yet. */
  unsentBytes(): number;
  close(code: number, reason: string): void;
};

/** Beyond this the socket's own buffer gets nothing more until the client has taken some of it. */
export const HANDED_OVER_BYTES_MAX = 1024 * 1024;
/** No further request of the client is started while answers of this size wait for it to read. */
const ANSWERS_BYTES_HIGH = 16 * 1024 * 1024;
/** Answers of what was running already may exceed that; a client that lets them grow to this is cut off. */
const WAITING_BYTES_MAX = 256 * 1024 * 1024;

/**
 * What goes out to one client, in order and no faster than it reads. A socket's buffer is kept small, because what
 * does not fit into it is dropped silently; the rest waits here, within a bound.
 */
export class Outbox {
  readonly #wire: Wire;
  readonly #onOverflow: () => void;
  #waiting: string[] = [];
  #waitingBytes = 0;
  #roomWanted: (() => void)[] = [];
  #isClosed = false;

  /** `onOverflow` is called when the client reads too slowly to go on with. */
  constructor(wire: Wire, onOverflow: () => void) {
    this.#wire = wire;
    this.#onOverflow = onOverflow;
  }

  send(text: string): void {
    if (this.#isClosed) return;
    if (this.#waiting.length === 0 && this.#wire.unsentBytes() <= HANDED_OVER_BYTES_MAX) {
      this.#wire.send(text);
      return;
    }
    this.#waiting.push(text);
    this.#waitingBytes += Buffer.byteLength(text);
    if (this.#waitingBytes > WAITING_BYTES_MAX) this.#onOverflow();
  }

  /** The client has taken bytes. */
  drained(): void {
    let sent = 0;
    for (const text of this.#waiting) {
      if (this.#isClosed || this.#wire.unsentBytes() > HANDED_OVER_BYTES_MAX) break;
      this.#wire.send(text);
      this.#waitingBytes -= Buffer.byteLength(text);
      sent++;
    }
    this.#waiting.splice(0, sent);
    if (this.#hasRoom()) for (const go of this.#roomWanted.splice(0)) go();
  }

  /** Whether the client has taken nearly all that was sent, so that news for it would not pile up. */
  isClear(): boolean {
    return this.#waiting.length === 0 && this.#wire.unsentBytes() <= HANDED_OVER_BYTES_MAX;
  }

  /** Resolves when there is room for another answer, or when there will be no more answers. */
  async room(): Promise<void> {
    if (this.#hasRoom()) return;
    await new Promise<void>((resolve) => this.#roomWanted.push(resolve));
  }

  close(): void {
    this.#isClosed = true;
    this.#waiting = [];
    this.#waitingBytes = 0;
    for (const go of this.#roomWanted.splice(0)) go();
  }

  #hasRoom(): boolean {
    return this.#isClosed || this.#waitingBytes <= ANSWERS_BYTES_HIGH;
  }
}
