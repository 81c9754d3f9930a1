/** The SMTP port: smtp-server with everything that the open internet makes necessary. */
import { Counter, Gauge, type Log, type Registry } from "@tyto/service";
import type { SMTPServerOptions } from "smtp-server";
import type { Certificate } from "../certificate.ts";
import { type DialogueParts, handlersOf } from "./dialogue.ts";
import { Patience } from "./patience.ts";
import { phaseLimits } from "./phases.ts";
import { boundReceiveBuffer } from "./receive-buffer.ts";
import { Refusals } from "./refusals.ts";
import { Server } from "./server.ts";
import { Sessions } from "./sessions.ts";

export type PortOptions = Pick<
  DialogueParts,
  "connectionsPerAddressMax" | "spool" | "isOurs" | "admit" | "take"
> & {
  host: string;
  port: number;
  hostname: string;
  certificate: Certificate;
  messageBytesMax: number;
  connectionsMax: number;
  log: Log;
  registry: Registry;
  /** By which senders' patience is measured. */
  now?: () => number;
  /** For tests: lower bounds than the ones below. */
  limits?: Partial<typeof portLimits>;
};

export type OpenPort = {
  port: number;
  /** For connections that ask for TLS from now on. */
  useCertificate(certificate: Certificate): void;
  stop(): Promise<void>;
};

const portLimits = {
  ...phaseLimits,
  recipientsMax: 50,
  /** Who guesses addresses is sent away. */
  refusalsPerSessionMax: 20,
  /** Any refused command, so that nobody tries out what there is. */
  errorsPerSessionMax: 40,
  /** Replies since the last message that was taken: RSET and NOOP keep nobody here for ever. */
  repliesWithoutMessageMax: 250,
  /** RFC 5321 §4.5.3.1.4 demands 512; extensions lengthen MAIL and RCPT. */
  commandBytesMax: 4_096,
  /** Sockets beyond `connectionsMax`, for as long as it takes to send them away. */
  socketsRefusedMax: 512,
  /** Of each connection, in the kernel. Over 100 ms of way and back it lets 600 KB/s through. */
  receiveBufferBytes: 65_536,
  lookMs: 1_000,
  stopMsMax: 10_000,
};

export async function openPort(options: PortOptions): Promise<OpenPort> {
  const { log, registry, now = Date.now } = options;
  const limits = { ...portLimits, ...options.limits };
  const sessions = new Sessions(now);
  const refusals = new Refusals(log, registry);
  const patience = new Patience(sessions, refusals, limits, now);
  const handlers = handlersOf({
    ...options,
    ...{ limits, sessions, refusals, now, messages: countMessages(registry) },
    connectionOf: (key) => server.bySession.get(key),
  });
  const server = new Server({ ...settingsOf(options, limits), ...handlers });
  server.onReply = (connection, code) => patience.note(connection, code);
  server.server.maxConnections = options.connectionsMax + limits.socketsRefusedMax;
  server.on("error", (error) => log.debug("smtp.connection-broke", { error: String(error) }));
  gauge(options, () => server.connections.size);
  const look = setInterval(
    () => patience.endOverdue(server.connections.size > options.connectionsMax / 2),
    limits.lookMs,
  );

  await listen(server, options);
  const problem = boundReceiveBuffer(server.server, limits.receiveBufferBytes);
  if (problem !== undefined) log.warn("smtp.receive-buffer-unbounded", { problem });
  const address = server.server.address();
  return {
    port: typeof address === "object" && address !== null ? address.port : options.port,
    useCertificate: (certificate) => server.updateSecureContext({ ...certificate }),
    async stop() {
      clearInterval(look);
      await close(server, sessions);
    },
  };
}

const settingsOf = (options: PortOptions, limits: typeof portLimits): SMTPServerOptions => ({
  name: options.hostname,
  banner: "Tyto",
  size: options.messageBytesMax,
  rejectOversized: true,
  authOptional: true,
  // AUTH has no use on a port that relays nothing; the others only tell strangers about us.
  disabledCommands: ["AUTH", "WIZ", "SHELL", "KILL", "HELP", "XFORWARD", "XCLIENT"],
  disableReverseLookup: true,
  // The server would put its own guess before ours; our replies carry the code of the error table.
  hideENHANCEDSTATUSCODES: true,
  ...options.certificate,
  minVersion: "TLSv1.2",
  maxClients: options.connectionsMax,
  maxCommandLength: limits.commandBytesMax,
  heloResponse: "%s",
  // The longest silence of all; what is shorter is looked after by patience.ts.
  socketTimeout: limits.commandMsMax,
  closeTimeout: limits.stopMsMax,
  logger: false,
});

const countMessages = (registry: Registry) =>
  new Counter({
    name: "tyto_bounce_messages_total",
    help: "Messages taken, by what became of them",
    labelNames: ["outcome"],
    registers: [registry],
  });

function gauge({ registry, spool }: PortOptions, connections: () => number): void {
  new Gauge({
    name: "tyto_bounce_connections",
    help: "Open connections",
    registers: [registry],
    collect() {
      this.set(connections());
    },
  });
  new Gauge({
    name: "tyto_bounce_spool_bytes",
    help: "Bytes on disk of messages that are on their way in",
    registers: [registry],
    collect() {
      this.set(spool.usedBytes());
    },
  });
}

const listen = (server: Server, { host, port }: PortOptions) =>
  new Promise<void>((resolve, reject) => {
    server.server.once("error", reject);
    server.listen(port, host, () => {
      server.server.off("error", reject);
      resolve();
    });
  });

/** Messages on their way may come to their end; everybody else is sent away now. */
async function close(server: Server, sessions: Sessions): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  for (const connection of [...server.connections]) {
    const { session } = connection;
    if (session !== undefined && sessions.of(session)?.stream !== undefined) continue;
    connection.send(421, "4.3.2 Closing down");
    connection.close();
  }
  await closed;
}
