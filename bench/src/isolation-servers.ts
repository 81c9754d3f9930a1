/** Mail servers that are sick, each in its way, for a sender that shall not fall ill with them. */
import { dlopen, FFIType, ptr } from "bun:ffi";
import { connect, createServer, type Socket } from "node:net";
import { freePort } from "@tyto/test/parts/ports.ts";

export type SickServer = { address: string; stop(): Promise<void> };

/** Nobody listens: connections are refused. */
export const startRefusing = async (): Promise<SickServer> => ({
  address: `127.0.0.1:${await freePort()}`,
  async stop() {},
});

/** Takes connections and never greets. */
export const startMute = async (): Promise<SickServer> => listen(await freePort(), () => {});

/** Every reply comes `answerMs` after its command, until `hurry`; all mail is taken in the end. `taken` counts it. */
export async function startTarpit(
  answerMs: number,
  port?: number,
): Promise<SickServer & { taken(): number; hurry(): void }> {
  let taken = 0;
  let waitMs = answerMs;
  const server = await listen(port ?? (await freePort()), (socket) => {
    const say = (reply: string) => {
      const write = () => void (socket.writable && socket.write(`${reply}\r\n`));
      if (waitMs === 0) write();
      else setTimeout(write, waitMs);
    };
    let buffered = "";
    let isInData = false;
    say("220 tarpit.test ESMTP");
    socket.on("data", (chunk: Buffer) => {
      buffered += chunk.toString("latin1");
      for (;;) {
        const ending = isInData ? "\r\n.\r\n" : "\r\n";
        const end = buffered.indexOf(ending);
        if (end === -1) return;
        const line = buffered.slice(0, end).toUpperCase();
        buffered = buffered.slice(end + ending.length);
        if (isInData) taken++;
        const isBody = isInData;
        isInData = !isBody && line === "DATA";
        if (!isBody && line === "QUIT") return void socket.end("221 2.0.0 Bye\r\n");
        say(isInData ? "354 Go on" : "250 2.0.0 Ok");
      }
    });
  });
  return {
    ...server,
    taken: () => taken,
    hurry() {
      waitMs = 0;
    },
  };
}

async function listen(port: number, serve: (socket: Socket) => void): Promise<SickServer> {
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    open.add(socket);
    // Who hangs up on a sick server is right.
    socket.on("error", () => socket.destroy());
    socket.on("close", () => open.delete(socket));
    serve(socket);
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", resolve);
  });
  return {
    address: `127.0.0.1:${port}`,
    stop() {
      for (const socket of open) socket.destroy();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

const inetFamily = 2;
const streamType = 1;

/**
 * Answers no SYN: a listening socket that nobody accepts from, its queue full. (Linux drops what comes then.) Throws when
 * the system answers after all.
 */
export async function startSilent(): Promise<SickServer> {
  const { symbols: libc } = dlopen("libc.so.6", {
    socket: { args: [FFIType.i32, FFIType.i32, FFIType.i32], returns: FFIType.i32 },
    bind: { args: [FFIType.i32, FFIType.ptr, FFIType.u32], returns: FFIType.i32 },
    listen: { args: [FFIType.i32, FFIType.i32], returns: FFIType.i32 },
    close: { args: [FFIType.i32], returns: FFIType.i32 },
  });
  const port = await freePort();
  const address = Buffer.alloc(16);
  address.writeUInt16LE(inetFamily, 0);
  address.writeUInt16BE(port, 2);
  address.set([127, 0, 0, 1], 4);
  const descriptor = libc.socket(inetFamily, streamType, 0);
  if (libc.bind(descriptor, ptr(address), address.length) !== 0 || libc.listen(descriptor, 0) !== 0)
    throw new Error(`no socket that listens at port ${port}`);
  const fillers: Socket[] = [];
  const stop = async () => {
    for (const socket of fillers) socket.destroy();
    libc.close(descriptor);
  };
  for (let tries = 0; tries < 8; tries++) {
    const socket = connect(port, "127.0.0.1");
    socket.on("error", () => socket.destroy());
    fillers.push(socket);
    const isAnswered = await Promise.race([
      new Promise<boolean>((resolve) => socket.once("connect", () => resolve(true))),
      Bun.sleep(300).then(() => false),
    ]);
    if (!isAnswered) return { address: `127.0.0.1:${port}`, stop };
  }
  await stop();
  throw new Error("the system takes connections beyond a full queue");
}
