import type { Socket } from "node:net";
import { createDeadline } from "./deadline.ts";
import { createReplies, type WireReply } from "./replies.ts";
import { noScribe, type Scribe } from "./transcript.ts";

/** Why there is nothing more to read: the connection ended, the time is over, or no reply came. */
export type Break = {
  kind: "break";
  why: string;
  isTimeout: boolean;
  /** The beginning of a reply that never ended. */
  unfinished: string;
};

/** The server's side of a session after its opening: commands go out, replies come in. One caller reads at a time. */
export type Wire = {
  readonly isOpen: boolean;
  /** Something came that nobody has read yet. */
  readonly hasUnread: boolean;
  /** While false, whatever the server says ends the session: nobody asked. */
  isAsked: boolean;
  /** `shown` stands for bytes in transcripts; commands stand for themselves. */
  write(bytes: string | Buffer, shown?: string): void;
  /** The next reply, or why there is none. A break is for good. */
  reply(timeoutMs: number): Promise<WireReply | Break>;
  /** Writes a piece of a message, and waits until the server has taken it or says something before that. */
  deliver(piece: Buffer, shown: string | undefined, timeoutMs: number): Promise<"taken" | "answered" | Break>;
  /** Ends the connection at once; a caller that waits is told `why`. */
  close(why: string): void;
  /** Says QUIT and closes when it is answered, at the latest after `quitMsMax`. */
  quit(quitMsMax: number): void;
  /** Called once when the connection is closed, whoever ends it: behind QUIT the server still counts it. */
  onEnd(listener: () => void): void;
};

/** Takes a socket over. `early` is what the server said before that without being asked. */
export const createWire = (socket: Socket, early: string, scribe: Scribe = noScribe): Wire =>
  new SocketWire(socket, early, scribe);

class SocketWire implements Wire {
  isAsked = false;
  readonly #socket: Socket;
  readonly #scribe: Scribe;
  readonly #replies = createReplies();
  readonly #endListeners: (() => void)[] = [];
  readonly #deadline = createDeadline(() => this.#end("no answer in time", true));
  #broken: Break | undefined;
  #wake: (() => void) | undefined;
  #isLeaving = false;

  constructor(socket: Socket, early: string, scribe: Scribe) {
    this.#socket = socket;
    this.#scribe = scribe;
    socket.setTimeout(0);
    socket.on("data", (bytes: Buffer) => this.#hear(bytes));
    socket.on("end", () => this.#end("it closed the connection"));
    socket.on("close", () => this.#end("the connection was closed"));
    socket.on("error", (error: Error & { code?: string }) => this.#end(error.code ?? error.message));
    if (early !== "") this.#replies.feed(Buffer.from(early, "latin1"));
    if (socket.destroyed) this.#end("the connection was closed");
    else if (this.#replies.hasUnread) this.#end("it spoke without being asked");
  }

  get isOpen(): boolean {
    return this.#broken === undefined && !this.#isLeaving;
  }
  get hasUnread(): boolean {
    return this.#replies.hasUnread;
  }

  write(bytes: string | Buffer, shown?: string): void {
    if (this.#broken !== undefined) return;
    this.#follow(bytes, shown);
    this.#socket.write(bytes);
  }

  async reply(timeoutMs: number): Promise<WireReply | Break> {
    if (this.#broken === undefined) this.#deadline.set(timeoutMs);
    for (;;) {
      const reply = this.#replies.next();
      if (reply?.kind === "malformed") this.#end(`it answered with ${reply.why}`);
      else if (reply !== undefined) {
        this.#deadline.clear();
        if (this.#scribe.isHeard()) this.#scribe.note("<", reply.text);
        return reply;
      }
      if (this.#broken !== undefined) return this.#broken;
      await this.#wait();
    }
  }

  async deliver(
    piece: Buffer,
    shown: string | undefined,
    timeoutMs: number,
  ): Promise<"taken" | "answered" | Break> {
    if (this.#broken !== undefined) return this.#broken;
    this.#follow(piece, shown);
    this.#deadline.set(timeoutMs);
    let isTaken = false;
    // The event `drain` comes only for those writes that filled the buffer; this comes for all.
    this.#socket.write(piece, () => {
      isTaken = true;
      this.#notify();
    });
    while (this.#broken === undefined && !isTaken && !this.#replies.hasUnread) await this.#wait();
    this.#deadline.clear();
    if (this.#replies.hasUnread) return "answered";
    return this.#broken ?? "taken";
  }

  close(why: string): void {
    this.#end(why);
  }

  quit(quitMsMax: number): void {
    if (this.#broken !== undefined || this.#isLeaving) return;
    this.#isLeaving = true;
    this.isAsked = true;
    this.write("QUIT\r\n");
    void this.reply(quitMsMax).then((reply) => {
      if (reply.kind !== "reply") return;
      this.#deadline.set(quitMsMax);
      this.#socket.end();
    });
  }

  onEnd(listener: () => void): void {
    if (this.#broken === undefined) this.#endListeners.push(listener);
    else listener();
  }

  #hear(bytes: Buffer): void {
    this.#replies.feed(bytes);
    if (this.isAsked) this.#notify();
    else if (this.#replies.hasUnread) this.#end("it spoke without being asked");
  }

  #end(why: string, isTimeout = false): void {
    if (this.#broken !== undefined) return;
    this.#broken = { kind: "break", why, isTimeout, unfinished: this.#replies.unfinished };
    this.#deadline.stop();
    // The data that the system still holds goes nowhere: what was cut must not look complete.
    this.#socket.destroy();
    this.#scribe.note("*", why);
    this.#notify();
    for (const listener of this.#endListeners) listener();
  }

  #wait(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
  #notify(): void {
    const waiting = this.#wake;
    this.#wake = undefined;
    waiting?.();
  }

  #follow(bytes: string | Buffer, shown: string | undefined): void {
    if (!this.#scribe.isHeard()) return;
    this.#scribe.note(">", shown ?? (typeof bytes === "string" ? bytes : `(${bytes.length} bytes)`));
  }
}
