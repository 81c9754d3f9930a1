import { connect, isIPv6 } from "node:net";
import { DnsError } from "./errors.ts";
import { decodeResponse, type Question, type Response } from "./packet.ts";
import type { Server } from "./servers.ts";

/**
 * One question to one server over UDP. Each gets a socket of its own, connected to the server: a new random port per
 * question (RFC 5452 §9.2), foreign sources dropped by the kernel, and a closed port reported at once. What is no
 * answer to the question is ignored until the time is over.
 */
export async function askUdp(
  server: Server,
  question: Question,
  bytes: Uint8Array,
  timeoutMs: number,
): Promise<Response> {
  const { promise, resolve, reject } = Promise.withResolvers<Response>();
  let timer: Timer | undefined;
  let close = () => {};
  try {
    const socket = await Bun.udpSocket({
      hostname: isIPv6(server.host) ? "::" : "0.0.0.0",
      connect: { hostname: server.host, port: server.port },
      socket: {
        data(_socket, datagram) {
          const response = decodeResponse(datagram, question);
          if (response !== undefined) resolve(response);
        },
        // Bun hands over the error alone, whatever its types say.
        error(error: unknown) {
          reject(unreachable(server, error));
        },
      },
    });
    close = () => socket.close();
    timer = setTimeout(() => reject(noAnswer(server, question)), timeoutMs);
    socket.send(bytes);
  } catch (error) {
    reject(unreachable(server, error));
  }
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    close();
  }
}

/** The same over TCP (RFC 7766), for answers that do not fit a datagram. */
export async function askTcp(
  server: Server,
  question: Question,
  bytes: Uint8Array,
  timeoutMs: number,
): Promise<Response> {
  const { promise, resolve, reject } = Promise.withResolvers<Response>();
  const timer = setTimeout(() => reject(noAnswer(server, question)), timeoutMs);
  const socket = connect({ host: server.host, port: server.port });
  socket.on("error", (error) => reject(unreachable(server, error)));
  socket.on("close", () => reject(malformed(server)));
  const length = Buffer.alloc(2);
  length.writeUInt16BE(bytes.length);
  socket.write(Buffer.concat([length, bytes]));
  let received = Buffer.alloc(0);
  socket.on("data", (part: Buffer) => {
    received = Buffer.concat([received, part]);
    // The length prefix of two octets bounds what is kept to 64 KB.
    if (received.length < 2 || received.length < 2 + received.readUInt16BE(0)) return;
    const response = decodeResponse(received.subarray(2, 2 + received.readUInt16BE(0)), question);
    if (response === undefined || response.kind === "truncated") reject(malformed(server));
    else resolve(response);
  });
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    socket.destroy();
  }
}

const at = ({ host, port }: Server) => (host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`);
const noAnswer = (server: Server, { name, type }: Question) =>
  new DnsError("timeout", `${at(server)} did not answer ${type} ${name} in time`);
const unreachable = (server: Server, cause: unknown) =>
  new DnsError(
    "unreachable",
    `${at(server)} cannot be reached: ${cause instanceof Error ? cause.message : String(cause)}`,
    cause,
  );
const malformed = (server: Server) => new DnsError("malformed", `${at(server)} gave no DNS answer over TCP`);
