/** For tests: an SMTP conversation by lines. */
import type { Socket } from "node:net";

/** `say` writes one line, `hear` gives the next whole reply, or "" when the server hung up. */
export function converse(socket: Pick<Socket, "on" | "write" | "destroyed">) {
  let buffered = "";
  let isClosed = false;
  let wake = () => {};
  socket.on("data", (chunk: Buffer) => {
    buffered += chunk.toString("latin1");
    wake();
  });
  for (const end of ["end", "close"] as const)
    socket.on(end, () => {
      isClosed = true;
      wake();
    });
  return {
    say: (line: string) => void socket.write(`${line}\r\n`, "latin1"),
    async hear(): Promise<string> {
      for (;;) {
        const reply = /^(?:\d{3}-[^\n]*\r\n)*\d{3} [^\n]*\r\n/.exec(buffered)?.[0];
        if (reply !== undefined) {
          buffered = buffered.slice(reply.length);
          return reply;
        }
        if (isClosed || socket.destroyed) return "";
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
  };
}
