import type { ServerWebSocket, WebSocketHandler } from "bun";
import type { Callers } from "../auth/caller.ts";
import type { Deployment } from "../deployment.ts";
import type { RequestMetadata } from "../functions/frame.ts";
import type { FunctionApi } from "../http/functions.ts";
import { Connection } from "./connection.ts";
import { Requests } from "./requests.ts";

/** What Bun keeps with each socket. */
export type Socket = {
  metadata: RequestMetadata;
  clientVersion: string | null;
  connection: Connection | null;
};

const MESSAGE_BYTES_MAX = 32 * 1024 * 1024;
/** Far more than a connection hands over; Bun drops messages beyond it, so it must never be reached. */
const BUFFERED_BYTES_MAX = 256 * 1024 * 1024;
const IDLE_SECONDS_MAX = 60;
const TICK_MS = 5000;
const PING_AFTER_MS = 15_000;
const SWEEP_MS = 3600_000;
const CLOSE_GOING_AWAY = 1001;

/** Gives each WebSocket its connection and keeps time for them. */
export class SyncServer {
  readonly handler: WebSocketHandler<Socket>;
  readonly #sockets = new Set<ServerWebSocket<Socket>>();
  readonly #ticks: ReturnType<typeof setInterval>;
  readonly #sweeps: ReturnType<typeof setInterval>;

  constructor(deployment: Deployment, callers: Callers, functions: FunctionApi) {
    const requests = new Requests(deployment.store);
    requests.sweep(deployment.now());
    this.handler = {
      maxPayloadLength: MESSAGE_BYTES_MAX,
      backpressureLimit: BUFFERED_BYTES_MAX,
      closeOnBackpressureLimit: true,
      idleTimeout: IDLE_SECONDS_MAX,
      sendPings: true,
      open: (socket) => {
        this.#sockets.add(socket);
        socket.data.connection = new Connection(
          deployment,
          callers,
          functions,
          requests,
          socket.data.metadata,
          socket.data.clientVersion,
          {
            send: (text) => {
              socket.sendText(text);
            },
            unsentBytes: () => socket.getBufferedAmount(),
            close: (code, reason) => socket.close(code, reason),
          },
        );
      },
      message: (socket, message) =>
        socket.data.connection?.receive(typeof message === "string" ? message : message.toString()),
      drain: (socket) => socket.data.connection?.drained(),
      close: (socket) => {
        this.#sockets.delete(socket);
        socket.data.connection?.closed();
      },
    };
    this.#ticks = setInterval(() => {
      for (const { data } of this.#sockets) data.connection?.tick(PING_AFTER_MS);
    }, TICK_MS);
    this.#sweeps = setInterval(() => requests.sweep(deployment.now()), SWEEP_MS);
  }

  /** `clientVersion` is that of the npm package, if the path has it. */
  accept(metadata: RequestMetadata, clientVersion: string | null): Socket {
    return { metadata, clientVersion, connection: null };
  }

  stop(): void {
    clearInterval(this.#ticks);
    clearInterval(this.#sweeps);
    for (const socket of this.#sockets) socket.close(CLOSE_GOING_AWAY, "Restarting");
  }
}
