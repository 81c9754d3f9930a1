import type { Socket } from "bun";

/** Writes to a socket no faster than it takes; what it has not taken yet waits here. */
export class Outlet<Data> {
  readonly #socket: Socket<Data>;
  #waiting: Buffer[] = [];
  #endsWhenEmpty = false;

  constructor(socket: Socket<Data>) {
    this.#socket = socket;
  }

  get isBlocked(): boolean {
    return this.#waiting.length > 0;
  }

  /** Whether everything has been taken; otherwise the sender is to pause until `drained` says so. */
  write(bytes: Buffer): boolean {
    if (this.#waiting.length === 0) {
      const taken = Math.max(this.#socket.write(bytes), 0);
      if (taken === bytes.length) return true;
      this.#waiting.push(bytes.subarray(taken));
    } else {
      this.#waiting.push(bytes);
    }
    return false;
  }

  /** The socket takes more; whether nothing waits any longer. */
  drained(): boolean {
    while (this.#waiting.length > 0) {
      const [first = Buffer.alloc(0)] = this.#waiting;
      const taken = Math.max(this.#socket.write(first), 0);
      if (taken < first.length) {
        this.#waiting[0] = first.subarray(taken);
        return false;
      }
      this.#waiting.shift();
    }
    if (this.#endsWhenEmpty) this.#socket.end();
    return true;
  }

  /** Ends the connection after what waits. */
  end(): void {
    this.#endsWhenEmpty = true;
    if (this.#waiting.length === 0) this.#socket.end();
  }
}
