/** The SMTP port: smtp-server with everything that the open internet makes necessary. */
import { Failure, toFailure, toSmtpReply } from "@tyto/contracts";
import { Counter, Gauge, type Log, type Registry } from "@tyto/service";
import { SMTPServer, type SMTPServerDataStream, type SMTPServerSession } from "smtp-server";
import { SMTPConnection } from "smtp-server/lib/smtp-connection.js";
import type { Certificate } from "./certificate.ts";
import type { Incoming, Outcome } from "./intake.ts";
import { overdue, type Phase, phaseLimits } from "./phases.ts";
import { boundReceiveBuffer } from "./receive-buffer.ts";
import type { Admitted } from "./recipients.ts";
import { inOurWords } from "./replies.ts";
import type { Spool } from "./spool.ts";
import { createTurns } from "./turns.ts";

export type PortOptions = {
  host: string;
  port: number;
  hostname: string;
  certificate: Certificate;
  messageBytesMax: number;
  connectionsMax: number;
  connectionsPerAddressMax: number;
  spool: Spool;
  /** A client that is not counted: other parts of this machine. */
  isOurs(ip: string): boolean;
  /** Throws Failure for a recipient that is not ours. */
  admit(address: string): Admitted;
  take(incoming: Incoming): Promise<Outcome[]>;
  log: Log;
  registry: Registry;
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

/** The connection ended before the message did. */
const isBrokenOff = (error: unknown) =>
  error instanceof Error &&
  "code" in error &&
  (error.code === "ECONNECTION" || error.code === "ERR_STREAM_PREMATURE_CLOSE");

/** What smtp-server sends for an error: `<responseCode> <message>`. */
class SmtpError extends Error {
  readonly responseCode: number;
  constructor(failure: Failure, hangUp = false) {
    const { code, enhanced, text } = toSmtpReply(failure);
    super(`${enhanced} ${text}`);
    // RFC 5321 §3.8: the server ends a session on its own with 421 only.
    this.responseCode = hangUp ? 421 : code;
  }
}

type Memory = {
  connection: SMTPConnection;
  /** Recipients that the current transaction has been promised. */
  admitted: Map<string, Admitted>;
  beganAtMs: number;
  phase: Phase;
  /** The message on its way. */
  stream?: SMTPServerDataStream;
  refusals: number;
  errors: number;
  repliesWithoutMessage: number;
};

/** The server with a word in each of its replies. */
class Server extends SMTPServer {
  /** Called before each reply; false when it has been sent in another way. */
  onReply: (connection: SMTPConnection, code: number) => boolean = () => true;
  readonly bySession = new WeakMap<SMTPServerSession, SMTPConnection>();

  override connect(...[socket, socketOptions]: Parameters<SMTPServer["connect"]>): void {
    const connection = new SMTPConnection(this, socket, socketOptions);
    const send = connection.send.bind(connection);
    connection.send = (code, text, context) => {
      if (this.onReply(connection, code)) send(code, inOurWords(code, text, context), context);
    };
    this.bySession.set(connection.session, connection);
    this.connections.add(connection);
    connection.on("error", (error) => this.emit("error", error));
    connection.init();
  }
}

export async function openPort(options: PortOptions): Promise<OpenPort> {
  const { log } = options;
  const limits = { ...portLimits, ...options.limits };
  const registers = [options.registry];
  const messages = new Counter({
    name: "tyto_bounce_messages_total",
    help: "Messages taken, by what became of them",
    labelNames: ["outcome"],
    registers,
  });
  const refusals = new Counter({
    name: "tyto_bounce_refusals_total",
    help: "Refused recipients, messages and connections, by error",
    labelNames: ["code"],
    registers,
  });
  new Gauge({
    name: "tyto_bounce_connections",
    help: "Open connections",
    registers,
    collect() {
      this.set(server.connections.size);
    },
  });
  new Gauge({
    name: "tyto_bounce_spool_bytes",
    help: "Bytes on disk of messages that are on their way in",
    registers,
    collect() {
      this.set(options.spool.usedBytes());
    },
  });
  const sessions = new Map<SMTPServerSession, Memory>();
  const perNetwork = new Map<string, number>();
  const inTurns = createTurns();

  const refuse = (error: unknown, hangUp = false): SmtpError => {
    const failure = toFailure(error);
    refusals.inc({ code: failure.code });
    if (failure.code === "internal" || failure.code === "upstream.down")
      log.error("mail.not-taken", { error });
    else log.debug("mail.refused", { code: failure.code, detail: failure.message });
    return new SmtpError(failure, hangUp);
  };

  const sendAway = (memory: Memory, failure: Failure, words?: string) => {
    refusals.inc({ code: failure.code });
    const { responseCode, message } = new SmtpError(failure, true);
    // Noted first: the reply must not be judged again.
    sessions.delete(memory.connection.session);
    forget(memory);
    memory.connection.send(responseCode, words ?? message);
    memory.connection.close();
  };

  const forget = ({ connection }: Memory) => {
    const network = networkOf(connection.remoteAddress);
    const left = (perNetwork.get(network) ?? 1) - 1;
    if (left <= 0) perNetwork.delete(network);
    else perNetwork.set(network, left);
  };

  const server = new Server({
    name: options.hostname,
    banner: "Tyto",
    size: options.messageBytesMax,
    rejectOversized: true,
    authOptional: true,
    // AUTH has no use on a port that relays nothing; the others only tell strangers about us.
    disabledCommands: ["AUTH", "WIZ", "SHELL", "KILL", "VRFY", "HELP", "XFORWARD", "XCLIENT"],
    disableReverseLookup: true,
    // The server would put its own guess before ours; our replies carry the code of the error table.
    hideENHANCEDSTATUSCODES: true,
    ...options.certificate,
    minVersion: "TLSv1.2",
    maxClients: options.connectionsMax,
    maxCommandLength: limits.commandBytesMax,
    heloResponse: "%s",
    // The longest silence of all; what is shorter is looked after below.
    socketTimeout: limits.commandMsMax,
    closeTimeout: limits.stopMsMax,
    logger: false,
    onConnect(session, callback) {
      const network = networkOf(session.remoteAddress);
      const open = (perNetwork.get(network) ?? 0) + 1;
      const connection = server.bySession.get(session);
      if (connection === undefined) return callback(refuse(new Failure("internal", "no connection")));
      perNetwork.set(network, open);
      sessions.set(session, {
        connection,
        admitted: new Map(),
        beganAtMs: Date.now(),
        phase: { kind: "silent", sinceMs: Date.now() },
        refusals: 0,
        errors: 0,
        repliesWithoutMessage: 0,
      });
      if (open > options.connectionsPerAddressMax && !options.isOurs(session.remoteAddress))
        return callback(refuse(new Failure("limit.exceeded", "connections of one address"), true));
      callback();
    },
    onClose(session) {
      // Called for connections, too, that ended before they were counted.
      const memory = sessions.get(session);
      if (memory === undefined) return;
      sessions.delete(session);
      forget(memory);
    },
    onMailFrom(_address, session, callback) {
      sessions.get(session)?.admitted.clear();
      // Not at once: smtp-server loses its place when all of a pipelined message is answered within one call.
      queueMicrotask(callback);
    },
    onRcptTo({ address }, session, callback) {
      const memory = sessions.get(session);
      try {
        if (memory === undefined) throw new Failure("internal", "a recipient outside of a session");
        if (memory.admitted.size >= limits.recipientsMax)
          throw new Failure("limit.exceeded", "recipients of one message");
        memory.admitted.set(address, options.admit(address));
        callback();
      } catch (error) {
        if (memory !== undefined) memory.refusals++;
        callback(refuse(error, (memory?.refusals ?? 0) >= limits.refusalsPerSessionMax));
      }
    },
    onData(stream, session, callback) {
      const memory = sessions.get(session);
      const take = async () => {
        if (memory === undefined) throw new Failure("internal", "data outside of a session");
        memory.stream = stream;
        const message = await options.spool.receive(inTurns(stream, memory.connection));
        memory.phase = { kind: "ours", sinceMs: Date.now() };
        try {
          const { envelope } = session;
          const outcomes = await options.take({
            message,
            envelopeFrom: envelope.mailFrom ? envelope.mailFrom.address : "",
            recipients: [...memory.admitted.values()],
            remoteIp: session.remoteAddress,
            helo: session.hostNameAppearsAs || "unknown",
          });
          for (const outcome of outcomes) messages.inc({ outcome });
          log.info("mail.taken", { bytes: message.bytes, outcomes, remoteIp: session.remoteAddress });
        } finally {
          await message.discard();
        }
      };
      const done = take().finally(() => {
        if (memory !== undefined) delete memory.stream;
      });
      done.then(
        () => {
          if (memory !== undefined) memory.repliesWithoutMessage = 0;
          callback(null, "2.6.0 Stored");
        },
        (error: unknown) => {
          if (isBrokenOff(error)) {
            // Strangers break off as they like: nothing to complain about, and nobody to answer.
            log.debug("smtp.message-broke-off", { remoteIp: session.remoteAddress });
            return callback(new SmtpError(new Failure("upstream.down", "the sender is gone")));
          }
          callback(refuse(error));
          // Whoever sends far beyond the limit is not listened to until the end.
          if (memory !== undefined && stream.destroyed && stream.sizeExceeded) memory.connection.close();
        },
      );
    },
  });
  server.onReply = ({ session }, code) => {
    const memory = sessions.get(session);
    if (memory === undefined) return true;
    const sinceMs = Date.now();
    memory.phase = code === 354 ? { kind: "data", sinceMs, bytes: 0 } : { kind: "command", sinceMs };
    if (code === 220 && memory.repliesWithoutMessage === 0) memory.phase = { kind: "silent", sinceMs };
    if (code >= 400) memory.errors++;
    memory.repliesWithoutMessage++;
    const isTooMuch =
      memory.errors > limits.errorsPerSessionMax ||
      memory.repliesWithoutMessage > limits.repliesWithoutMessageMax;
    if (!isTooMuch || code === 421 || code === 221) return true;
    sendAway(memory, new Failure("limit.exceeded", "commands or errors of one session"));
    return false;
  };
  server.server.maxConnections = options.connectionsMax + limits.socketsRefusedMax;

  const look = setInterval(() => {
    const nowMs = Date.now();
    const isBusy = server.connections.size > options.connectionsMax / 2;
    for (const memory of sessions.values()) {
      if (memory.phase.kind === "data") memory.phase.bytes = memory.stream?.byteLength ?? 0;
      const reason = overdue(memory.phase, memory.beganAtMs, nowMs, isBusy, limits);
      if (reason !== undefined)
        sendAway(memory, new Failure("limit.exceeded", reason), `4.4.2 Closing: ${reason}`);
    }
  }, limits.lookMs);
  server.on("error", (error) => log.debug("smtp.connection-broke", { error: String(error) }));

  await new Promise<void>((resolve, reject) => {
    server.server.once("error", reject);
    server.listen(options.port, options.host, () => {
      server.server.off("error", reject);
      resolve();
    });
  });
  const problem = boundReceiveBuffer(server.server, limits.receiveBufferBytes);
  if (problem !== undefined) log.warn("smtp.receive-buffer-unbounded", { problem });
  const address = server.server.address();
  return {
    port: typeof address === "object" && address !== null ? address.port : options.port,
    useCertificate: (certificate) => server.updateSecureContext({ ...certificate }),
    async stop() {
      clearInterval(look);
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const connection of [...server.connections]) {
        const { session } = connection;
        if (session !== undefined && sessions.get(session)?.stream !== undefined) continue;
        connection.send(421, "4.3.2 Closing down");
        connection.close();
      }
      await closed;
    },
  };
}

/** One address, or the /64 that one IPv6 customer has (RFC 6177); smtp-server writes IPv4 without its mapped prefix. */
export function networkOf(ip: string): string {
  if (!ip.includes(":")) return ip;
  const [front = "", back] = ip.split("::");
  const [head, tail] = [front, back ?? ""].map((part) => part.split(":").filter((group) => group !== ""));
  const zeros = back === undefined ? 0 : 8 - (head?.length ?? 0) - (tail?.length ?? 0);
  return [...(head ?? []), ...Array<string>(Math.max(0, zeros)).fill("0"), ...(tail ?? [])]
    .slice(0, 4)
    .join(":");
}
