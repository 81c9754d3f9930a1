/** The SMTP port: smtp-server with everything that the open internet makes necessary. */
import { Failure, toFailure, toSmtpReply } from "@tyto/contracts";
import { Counter, type Log, type Registry } from "@tyto/service";
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
  /** Throws Failure for a recipient that is not ours. */
  admit(address: string): Admitted;
  take(incoming: Incoming): Promise<Outcome[]>;
  log: Log;
  registry: Registry;
};

export type OpenPort = { port: number; stop(): Promise<void> };

const recipientsMax = 50;
const connectionsPerIpMax = 20;
const idleMsMax = 60_000;
const sessionMsMax = 600_000;
const stopMsMax = 10_000;

/** What smtp-server sends for an error: `<responseCode> <message>`. */
class SmtpError extends Error {
  readonly responseCode: number;
  constructor(failure: Failure) {
    const { code, enhanced, text } = toSmtpReply(failure);
    super(`${enhanced} ${text}`);
    this.responseCode = code;
  }
}

/** Recipients that a session's current transaction has been promised, and when the session began. */
type Memory = {
  admitted: Map<string, Admitted>;
  endsBy: ReturnType<typeof setTimeout>;
  /** A message is on its way: stopping waits for it. */
  inData: boolean;
};

export async function openPort(options: PortOptions): Promise<OpenPort> {
  const { log } = options;
  const messages = new Counter({
    name: "tyto_bounce_messages_total",
    help: "Messages taken, by what became of them",
    labelNames: ["outcome"],
    registers: [options.registry],
  });
  const refusals = new Counter({
    name: "tyto_bounce_refusals_total",
    help: "Refused recipients, messages and connections, by error",
    labelNames: ["code"],
    registers: [options.registry],
  });
  const sessions = new WeakMap<SMTPServerSession, Memory>();
  const perIp = new Map<string, number>();
  let heldBytes = 0;

  const refuse = (error: unknown): SmtpError => {
    const failure = toFailure(error);
    refusals.inc({ code: failure.code });
    if (failure.code === "internal" || failure.code === "upstream.down")
      log.error("mail.not-taken", { error });
    else log.debug("mail.refused", { code: failure.code, detail: failure.message });
    return new SmtpError(failure);
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
    socketTimeout: idleMsMax,
    closeTimeout: stopMsMax,
    logger: false,
    onConnect(session, callback) {
      const open = (perIp.get(session.remoteAddress) ?? 0) + 1;
      perIp.set(session.remoteAddress, open);
      const endsBy = setTimeout(() => closeSession(server, session), sessionMsMax);
      sessions.set(session, { admitted: new Map(), endsBy, inData: false });
      if (open > connectionsPerIpMax && !session.remoteAddress.startsWith("127."))
        return callback(refuse(new Failure("limit.exceeded", "connections of one address")));
      callback();
    },
    onClose(session) {
      const left = (perIp.get(session.remoteAddress) ?? 1) - 1;
      if (left <= 0) perIp.delete(session.remoteAddress);
      else perIp.set(session.remoteAddress, left);
      clearTimeout(sessions.get(session)?.endsBy);
    },
    onMailFrom(_address, session, callback) {
      sessions.get(session)?.admitted.clear();
      callback();
    },
    onRcptTo({ address }, session, callback) {
      try {
        const admitted = sessions.get(session)?.admitted;
        if (admitted === undefined) throw new Failure("internal", "a recipient outside of a session");
        if (admitted.size >= recipientsMax) throw new Failure("limit.exceeded", "recipients of one message");
        admitted.set(address, options.admit(address));
        callback();
      } catch (error) {
        callback(refuse(error));
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
