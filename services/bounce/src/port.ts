/** The SMTP port: smtp-server with everything that the open internet makes necessary. */
import { Failure, toFailure, toSmtpReply } from "@tyto/contracts";
import { Counter, Gauge, type Log, type Registry } from "@tyto/service";
import { SMTPServer, type SMTPServerDataStream, type SMTPServerSession } from "smtp-server";
import type { Certificate } from "./certificate.ts";
import type { Incoming, Outcome } from "./intake.ts";
import type { Admitted } from "./recipients.ts";

export type PortOptions = {
  host: string;
  port: number;
  hostname: string;
  certificate: Certificate;
  messageBytesMax: number;
  connectionsMax: number;
  memoryBytesMax: number;
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

export type OpenPort = { port: number; stop(): Promise<void> };

const portLimits = {
  recipientsMax: 50,
  connectionsPerIpMax: 20,
  /** Who guesses addresses is sent away. */
  refusalsPerSessionMax: 20,
  idleMsMax: 60_000,
  sessionMsMax: 600_000,
  stopMsMax: 10_000,
};

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

/** Recipients that a session's current transaction has been promised, and when the session began. */
type Memory = {
  admitted: Map<string, Admitted>;
  endsBy: ReturnType<typeof setTimeout>;
  /** A message is on its way: stopping waits for it. */
  inData: boolean;
  refusals: number;
};

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
    name: "tyto_bounce_held_bytes",
    help: "Bytes of messages that are on their way in",
    registers,
    collect() {
      this.set(heldBytes);
    },
  });
  const sessions = new WeakMap<SMTPServerSession, Memory>();
  const perNetwork = new Map<string, number>();
  let heldBytes = 0;

  const refuse = (error: unknown, hangUp = false): SmtpError => {
    const failure = toFailure(error);
    refusals.inc({ code: failure.code });
    if (failure.code === "internal" || failure.code === "upstream.down")
      log.error("mail.not-taken", { error });
    else log.debug("mail.refused", { code: failure.code, detail: failure.message });
    return new SmtpError(failure, hangUp);
  };

  /** Reads the whole message within the bounds of one message and of all of them together. */
  function read(stream: SMTPServerDataStream): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      let problem: Failure | undefined;
      const give = () => {
        heldBytes -= bytes;
        bytes = 0;
        chunks.length = 0;
      };
      stream.on("data", (chunk: Buffer) => {
        if (problem !== undefined) return;
        if (stream.sizeExceeded || bytes + chunk.length > options.messageBytesMax)
          problem = new Failure("request.too-large", "message over the limit");
        else if (heldBytes + chunk.length > options.memoryBytesMax)
          problem = new Failure(
            "storage.full",
            "messages on their way in fill the memory set aside for them",
          );
        if (problem !== undefined) return give();
        bytes += chunk.length;
        heldBytes += chunk.length;
        chunks.push(chunk);
      });
      stream.once("error", (error) => {
        give();
        reject(error);
      });
      stream.once("end", () => {
        if (problem !== undefined) return reject(problem);
        const whole = Buffer.concat(chunks);
        give();
        heldBytes += whole.length;
        resolve(whole);
      });
    });
  }

  const server = new SMTPServer({
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
    socketTimeout: limits.idleMsMax,
    closeTimeout: limits.stopMsMax,
    logger: false,
    onConnect(session, callback) {
      const network = networkOf(session.remoteAddress);
      const open = (perNetwork.get(network) ?? 0) + 1;
      perNetwork.set(network, open);
      const endsBy = setTimeout(() => closeSession(server, session), limits.sessionMsMax);
      sessions.set(session, { admitted: new Map(), endsBy, inData: false, refusals: 0 });
      if (open > limits.connectionsPerIpMax && !options.isOurs(session.remoteAddress))
        return callback(refuse(new Failure("limit.exceeded", "connections of one address"), true));
      callback();
    },
    onClose(session) {
      // Called for connections, too, that ended before they were counted.
      const memory = sessions.get(session);
      if (memory === undefined) return;
      sessions.delete(session);
      clearTimeout(memory.endsBy);
      const network = networkOf(session.remoteAddress);
      const left = (perNetwork.get(network) ?? 1) - 1;
      if (left <= 0) perNetwork.delete(network);
      else perNetwork.set(network, left);
    },
    onMailFrom(_address, session, callback) {
      sessions.get(session)?.admitted.clear();
      callback();
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
        memory.inData = true;
        const bytes = await read(stream);
        try {
          const { envelope } = session;
          const outcomes = await options.take({
            bytes,
            envelopeFrom: envelope.mailFrom ? envelope.mailFrom.address : "",
            recipients: [...memory.admitted.values()],
            remoteIp: session.remoteAddress,
            helo: session.hostNameAppearsAs || "unknown",
          });
          for (const outcome of outcomes) messages.inc({ outcome });
          log.info("mail.taken", { bytes: bytes.length, outcomes, remoteIp: session.remoteAddress });
        } finally {
          heldBytes -= bytes.length;
        }
      };
      const done = take().finally(() => {
        if (memory !== undefined) memory.inData = false;
      });
      done.then(
        () => callback(null, "2.6.0 Stored"),
        (error: unknown) => callback(refuse(error)),
      );
    },
  });
  server.on("error", (error) => log.debug("smtp.connection-broke", { error: String(error) }));

  await new Promise<void>((resolve, reject) => {
    server.server.once("error", reject);
    server.listen(options.port, options.host, () => {
      server.server.off("error", reject);
      resolve();
    });
  });
  const address = server.server.address();
  return {
    port: typeof address === "object" && address !== null ? address.port : options.port,
    async stop() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const connection of [...server.connections]) {
        const session = connection.session;
        if (session === undefined || sessions.get(session)?.inData !== true)
          hangUp(connection, "4.3.2 Closing down");
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

/** smtp-server bounds silence, not the length of a session; a sender that drips bytes would stay for ever. */
function closeSession(server: SMTPServer, session: SMTPServerSession): void {
  for (const connection of [...server.connections])
    if (connection.session?.id === session.id) hangUp(connection, "4.4.2 This session took too long");
}

type Connection = SMTPServer["connections"] extends Set<infer C> ? C : never;

function hangUp(connection: Connection, words: string): void {
  connection.send(421, words);
  connection.close();
}
