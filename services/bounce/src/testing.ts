/** For tests: an SMTP conversation by lines, and messages as the port hands them on. */
import { mkdtempSync, rmSync } from "node:fs";
import type { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openSpool, type Spooled } from "./spool/spool.ts";

let dir: string | undefined;

/** Removes what `spooled` left on disk. */
export function forgetSpooled(): void {
  if (dir !== undefined) rmSync(dir, { recursive: true, force: true });
  dir = undefined;
}

/** The message of these bytes; long ones lie in a file until `discard`. The test calls `forgetSpooled` at its end. */
export async function spooled(bytes: Uint8Array | string): Promise<Spooled> {
  dir ??= mkdtempSync(join(tmpdir(), "tyto-spooled-"));
  // A folder of its own for each: opening a spool empties its folder.
  const own = join(dir, crypto.randomUUID());
  const spool = await openSpool({ dir: own, messageBytesMax: 100_000_000, spoolBytesMax: 100_000_000 });
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
