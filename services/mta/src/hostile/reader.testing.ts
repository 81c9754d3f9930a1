import type { Socket } from "node:net";

/** The client has ended the connection, or we have. */
export class Gone extends Error {}

/** Reads lines and counted bytes of a connection; throws Gone when the client is. */
export class Reader {
  #socket: Socket;
  #buffer: Buffer = Buffer.alloc(0);
  #isEnded = false;
  #wake = () => {};

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", this.#take);
    for (const event of ["end", "close", "error"]) socket.on(event, this.#end);
    socket.resume();
  }
  line = () => this.#upTo(() => this.#behind("\r\n"));
  /** A message up to its final dot. */
  message = () => this.#upTo(() => (this.#buffer.indexOf(".\r\n") === 0 ? 3 : this.#behind("\r\n.\r\n")));
  bytes = (count: number) => this.#upTo(() => (this.#buffer.length >= count ? count : -1));
  /** Somebody else reads from now on. */
  letGo = () => this.#socket.off("data", this.#take);

  #take = (bytes: Buffer) => {
    this.#buffer = this.#buffer.length === 0 ? bytes : Buffer.concat([this.#buffer, bytes]);
    this.#wake();
  };
  #end = () => {
    this.#isEnded = true;
    this.#wake();
  };
  #behind(mark: string): number {
    const at = this.#buffer.indexOf(mark);
    return at === -1 ? -1 : at + mark.length;
  }
  async #upTo(lengthOf: () => number): Promise<string> {
    for (;;) {
      const length = lengthOf();
      if (length >= 0) {
        const text = this.#buffer.toString("latin1", 0, length);
        this.#buffer = this.#buffer.subarray(length);
        return text;
      }
      if (this.#isEnded) throw new Gone();
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}
