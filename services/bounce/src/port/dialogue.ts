/** What we answer in a session: to the connection itself, to each sender, recipient and message. */
import { Failure } from "@tyto/contracts";
import type { Counter, Log } from "@tyto/service";
import type { SMTPServerDataStream, SMTPServerOptions, SMTPServerSession } from "smtp-server";
import type { SMTPConnection } from "smtp-server/lib/smtp-connection.js";
import type { Incoming, Outcome } from "../intake.ts";
import type { Admitted } from "../recipients.ts";
import type { Spool } from "../spool/spool.ts";
import { type Refusals, SmtpError } from "./refusals.ts";
import type { Session, Sessions } from "./sessions.ts";
import { createTurns } from "./turns.ts";

export type DialogueParts = {
  connectionsPerAddressMax: number;
  limits: { recipientsMax: number; refusalsPerSessionMax: number };
  spool: Spool;
  /** A client that is not counted: other parts of this machine. */
  isOurs(ip: string): boolean;
  /** Throws Failure for a recipient that is not ours. */
  admit(address: string): Admitted;
  take(incoming: Incoming): Promise<Outcome[]>;
  log: Log;
  messages: Counter<"outcome">;
  sessions: Sessions;
  refusals: Refusals;
  now(): number;
  connectionOf(key: SMTPServerSession): SMTPConnection | undefined;
};

type Handlers = Required<
  Pick<SMTPServerOptions, "onConnect" | "onClose" | "onMailFrom" | "onRcptTo" | "onData">
>;
type Answer = (error?: Error | null, message?: string) => void;

export function handlersOf(parts: DialogueParts): Handlers {
  const { sessions } = parts;
  const inTurns = createTurns();
  return {
    onConnect: (key, callback) => callback(greet(parts, key)),
    onClose: (key) => sessions.end(key),
    onMailFrom(_address, key, callback) {
      sessions.of(key)?.admitted.clear();
      // Not at once: smtp-server loses its place when all of a pipelined message is answered within one call.
      queueMicrotask(callback);
    },
    onRcptTo: ({ address }, key, callback) => callback(addRecipient(parts, key, address)),
    onData(stream, key, callback) {
      const session = sessions.of(key);
      if (session === undefined)
        return callback(parts.refusals.reply(new Failure("internal", "data outside of a session")));
      session.stream = stream;
      const taking = take(parts, key, session, inTurns(stream, session.connection)).finally(() => {
        delete session.stream;
      });
      taking.then(
        () => {
          session.repliesWithoutMessage = 0;
          callback(null, "2.6.0 Stored");
        },
        (error: unknown) => answerFailure(parts, session, stream, error, callback),
      );
    },
  };
}

/** The error that the connection is refused with, if it is. */
function greet(parts: DialogueParts, key: SMTPServerSession): SmtpError | undefined {
  const { sessions, refusals } = parts;
  const connection = parts.connectionOf(key);
  if (connection === undefined) return refusals.reply(new Failure("internal", "no connection"));
  const open = sessions.begin(key, connection);
  if (open <= parts.connectionsPerAddressMax || parts.isOurs(key.remoteAddress)) return undefined;
  return refusals.reply(new Failure("limit.exceeded", "connections of one address"), true);
}

/** The error that the recipient is refused with, if it is. */
function addRecipient(
  { sessions, refusals, limits, admit }: DialogueParts,
  key: SMTPServerSession,
  address: string,
): SmtpError | undefined {
  const session = sessions.of(key);
  if (session === undefined)
    return refusals.reply(new Failure("internal", "a recipient outside of a session"));
  try {
    if (session.admitted.size >= limits.recipientsMax)
      throw new Failure("limit.exceeded", "recipients of one message");
    session.admitted.set(address, admit(address));
    return undefined;
  } catch (error) {
    session.refusals++;
    return refusals.reply(error, session.refusals >= limits.refusalsPerSessionMax);
  }
}

/** Resolves when the message is stored. */
async function take(
  parts: DialogueParts,
  key: SMTPServerSession,
  session: Session,
  chunks: AsyncIterable<Uint8Array>,
): Promise<void> {
  const message = await parts.spool.receive(chunks);
  session.phase = { kind: "ours", sinceMs: parts.now() };
  try {
    const { envelope, remoteAddress: remoteIp } = key;
    const outcomes = await parts.take({
      message,
      envelopeFrom: envelope.mailFrom ? envelope.mailFrom.address : "",
      recipients: [...session.admitted.values()],
      remoteIp,
      helo: key.hostNameAppearsAs || "unknown",
    });
    for (const outcome of outcomes) parts.messages.inc({ outcome });
    parts.log.info("mail.taken", { bytes: message.bytes, outcomes, remoteIp });
  } finally {
    await message.discard();
  }
}

function answerFailure(
  { log, refusals }: DialogueParts,
  { connection }: Session,
  stream: SMTPServerDataStream,
  error: unknown,
  callback: Answer,
): void {
  if (isBrokenOff(error)) {
    // Strangers break off as they like: nothing to complain about, and nobody to answer.
    log.debug("smtp.message-broke-off", { remoteIp: connection.remoteAddress });
    callback(new SmtpError(new Failure("upstream.down", "the sender is gone")));
    return;
  }
  callback(refusals.reply(error));
  // Whoever sends far beyond the limit is not listened to until the end.
  if (stream.destroyed && stream.sizeExceeded) connection.close();
}

/** The connection ended before the message did. */
const isBrokenOff = (error: unknown) =>
  error instanceof Error &&
  "code" in error &&
  (error.code === "ECONNECTION" || error.code === "ERR_STREAM_PREMATURE_CLOSE");
