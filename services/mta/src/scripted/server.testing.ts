import { createServer, type Socket } from "node:net";
import type { Step } from "./dialog.testing.ts";
import { Performance } from "./performance.testing.ts";

export type ScriptedServer = {
  port: number;
  /** What went against the script: an unexpected line, or a script that was not played to its end. */
  faults: string[];
  /** Messages as they came over the wire, dots still stuffed. */
  bodies: string[];
  connections: number;
  stop(): Promise<void>;
};

/** Plays a script to each connection, in their order. */
export async function startScripted(
  connections: readonly (readonly Step[])[],
  certificate: string,
): Promise<ScriptedServer> {
  const sockets = new Set<Socket>();
  const server = createServer({ pauseOnConnect: true }, (socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => socket.destroy());
    const number = state.connections++;
    const script = connections[number];
    if (script === undefined) socket.destroy();
    else void new Performance(`connection ${number + 1}`, socket, sockets, certificate, state).play(script);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const state: ScriptedServer = {
    port: typeof address === "object" && address !== null ? address.port : 0,
    faults: [],
    bodies: [],
    connections: 0,
    async stop() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return state;
}
