import type { Socket } from "node:net";

export type Reader = ReturnType<typeof reader>;

/** Reads a socket up to a mark. Only what is new is searched: messages may be large. */
export function reader(socket: Socket) {
  let parts: string[] = [];
  let isEnded = false;
  let wake = () => {};
  const onData = (part: Buffer) => {
    parts.push(part.toString("latin1"));
    wake();
  };
  const onEnd = () => {
    isEnded = true;
    wake();
  };
  socket.on("data", onData);
  socket.on("end", onEnd);
  socket.on("close", onEnd);
  socket.resume();
  const more = () =>
    new Promise<void>((resolve) => {
      wake = resolve;
    });
  const cut = (length: number, rest: number) => {
    const text = parts.join("");
    parts = text.length > rest ? [text.slice(rest)] : [];
    return text.slice(0, length);
  };
  return {
    socket,
    detach() {
      socket.off("data", onData);
    },
    async until(mark: string): Promise<string | undefined> {
      let tail = "";
      let before = 0;
      for (let seen = 0; ; seen++) {
        for (; seen < parts.length; seen++) {
          const window = tail + (parts[seen] ?? "");
          const at = window.indexOf(mark);
          if (at !== -1) return cut(before + at, before + at + mark.length);
          tail = window.slice(-mark.length);
          before += window.length - tail.length;
        }
        seen--;
        if (isEnded) return undefined;
        await more();
      }
    },
    async take(bytes: number): Promise<string | undefined> {
      while (parts.reduce((sum, part) => sum + part.length, 0) < bytes) {
        if (isEnded) return undefined;
        await more();
      }
      return cut(bytes, bytes);
    },
  };
}
