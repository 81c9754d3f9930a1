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
export function createWire(socket: Socket, early: string, scribe: Scribe = noScribe): Wire {
  const replies = createReplies();
  const endListeners: (() => void)[] = [];
  let broken: Break | undefined;
  let wake: (() => void) | undefined;
  let isLeaving = false;

  const deadline = createDeadline(() => end("no answer in time", true));

  function notify() {
    const waiting = wake;
    wake = undefined;
    waiting?.();
  }
  function end(why: string, isTimeout = false) {
    if (broken !== undefined) return;
    broken = { kind: "break", why, isTimeout, unfinished: replies.unfinished };
    deadline.stop();
    // The data that the system still holds goes nowhere: what was cut must not look complete.
    socket.destroy();
    scribe.note("*", why);
    notify();
    for (const listener of endListeners) listener();
  }
  const wait = () =>
    new Promise<void>((resolve) => {
      wake = resolve;
    });

  function follow(bytes: string | Buffer, shown: string | undefined) {
    if (!scribe.isHeard()) return;
    scribe.note(">", shown ?? (typeof bytes === "string" ? bytes : `(${bytes.length} bytes)`));
  }

  socket.setTimeout(0);
  socket.on("data", (bytes: Buffer) => {
    replies.feed(bytes);
    if (wire.isAsked) notify();
    else if (replies.hasUnread) end("it spoke without being asked");
  });
  socket.on("end", () => end("it closed the connection"));
  socket.on("close", () => end("the connection was closed"));
  socket.on("error", (error: Error & { code?: string }) => end(error.code ?? error.message));

  const wire: Wire = {
    isAsked: false,
    get isOpen() {
      return broken === undefined && !isLeaving;
    },
    get hasUnread() {
      return replies.hasUnread;
    },
    write(bytes, shown) {
      if (broken !== undefined) return;
      follow(bytes, shown);
      socket.write(bytes);
    },
    async reply(timeoutMs) {
      if (broken === undefined) deadline.set(timeoutMs);
      for (;;) {
        const reply = replies.next();
        if (reply?.kind === "malformed") end(`it answered with ${reply.why}`);
        else if (reply !== undefined) {
          deadline.clear();
          if (scribe.isHeard()) scribe.note("<", reply.text);
          return reply;
        }
        if (broken !== undefined) return broken;
        await wait();
      }
    },
    async deliver(piece, shown, timeoutMs) {
      if (broken !== undefined) return broken;
      follow(piece, shown);
      deadline.set(timeoutMs);
      let isTaken = false;
      // The event `drain` comes only for those writes that filled the buffer; this comes for all.
      socket.write(piece, () => {
        isTaken = true;
        notify();
      });
      while (broken === undefined && !isTaken && !replies.hasUnread) await wait();
      deadline.clear();
      if (replies.hasUnread) return "answered";
      return broken ?? "taken";
    },
    close: (why) => end(why),
    quit(quitMsMax) {
      if (broken !== undefined || isLeaving) return;
      isLeaving = true;
      wire.isAsked = true;
      wire.write("QUIT\r\n");
      void wire.reply(quitMsMax).then((reply) => {
        if (reply.kind !== "reply") return;
        deadline.set(quitMsMax);
        socket.end();
      });
    },
    onEnd(listener) {
      if (broken === undefined) endListeners.push(listener);
      else listener();
    },
  };
  if (early !== "") replies.feed(Buffer.from(early, "latin1"));
  if (socket.destroyed) end("the connection was closed");
  else if (replies.hasUnread) end("it spoke without being asked");
  return wire;
}
