/** For tests: an SMTP conversation by lines, and messages as the port hands them on. */
import { mkdtemp } from "node:fs/promises";
import type { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openSpool, type Spooled } from "./spool.ts";

/** The message of these bytes; long ones lie in a file below the system's folder for such until `discard`. */
export async function spooled(bytes: Uint8Array | string): Promise<Spooled> {
  const dir = await mkdtemp(join(tmpdir(), "tyto-spooled-"));
  const spool = await openSpool({ dir, messageBytesMax: 100_000_000, spoolBytesMax: 100_000_000 });
  const whole = typeof bytes === "string" ? new TextEncoder().encode(bytes) : bytes;
  return await spool.receive(
    (async function* () {
      yield whole;
    })(),
  );
}

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
