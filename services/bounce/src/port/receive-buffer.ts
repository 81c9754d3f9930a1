/**
 * How much a socket hands over at once. The runtime reads half a megabyte from each that has it, which then waits in memory
 * for its turn; two hundred fast senders are 100 MB so, and as much again on its way. A small receive buffer in the kernel
 * bounds that for every connection, before and after STARTTLS, and the senders wait where they should: at their end.
 */
import { dlopen } from "bun:ffi";
import type { Server } from "node:net";

const SOL_SOCKET = 1;
const SO_RCVBUF = 8;

/**
 * Sets the receive buffer (socket(7)) of a listening server; the connections that it accepts inherit it. Gives the reason
 * where this cannot be done, which costs memory and nothing else: the C library of Linux is not there, or the runtime does
 * not tell the descriptor.
 */
export function boundReceiveBuffer(server: Server, bytes: number): string | undefined {
  const { fd } = (server as unknown as { _handle: { fd?: unknown } })._handle;
  if (typeof fd !== "number" || fd < 0) return "the socket has no descriptor";
  const value = new Int32Array([bytes]);
  try {
    const { symbols } = dlopen("libc.so.6", {
      setsockopt: { args: ["i32", "i32", "i32", "ptr", "u32"], returns: "i32" },
    });
    const result = symbols.setsockopt(fd, SOL_SOCKET, SO_RCVBUF, value, value.byteLength);
    return result === 0 ? undefined : "setsockopt failed";
  } catch (error) {
    return String(error);
  }
}
