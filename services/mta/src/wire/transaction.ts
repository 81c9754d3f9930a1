import { parseReply } from "@tyto/mail";
import { type Endpoint, type Sent, sessionTrouble } from "../trouble.ts";
import { dotted, endingOf, stuffed } from "./dots.ts";
import { type Envelope, envelopeOf, type Mail, type Offers } from "./envelope.ts";
import type { WireReply } from "./replies.ts";
import type { Break, Wire } from "./wire.ts";

/** How long each step of a message may take, in ms; see RFC 5321 §4.5.3.2. */
export type MessageTimeouts = {
  commandMs: number;
  /** For the server to take a piece of the message. */
  blockMs: number;
  /** For the reply to the final dot. */
  finalMs: number;
  /** For a whole message, however busy the server keeps the connection. */
  messageMs: number;
};

/** How far a message got. */
export type Progress = {
  /** From here on it is finished: cutting it would waste what the server has taken so far. */
  isBodyStarted: boolean;
  /** The end of the message is on its way: the server may have all of it. */
  isBodyEnded: boolean;
  startedMs: number;
  /** How long the server took for each step, as far as it went. */
  envelopeMs: number | undefined;
  bodyMs: number | undefined;
  replyMs: number | undefined;
};

/** Messages up to this size go out in one write, larger ones in pieces of it. */
const pieceBytes = 65_536;

/**
 * One message on an open session: the envelope, the message, the server's answer. With PIPELINING (RFC 2920) the
 * envelope is one write. A session that is not in step with us any more is closed, and told as trouble unless the
 * server had answered the message before.
 */
export async function transact(
  wire: Wire,
  endpoint: Endpoint,
  mail: Mail,
  offers: Offers,
  timeouts: MessageTimeouts,
  progress: Progress,
): Promise<Sent> {
  const bytes = mail.parts.reduce((sum, part) => sum + part.length, 0);
  const envelope = envelopeOf(mail, bytes, offers);
  if ("kind" in envelope) return envelope;

  const untilMs = progress.startedMs + timeouts.messageMs;
  const step: Step = {
    wire,
    timeouts,
    reply: (timeoutMs) => wire.reply(Math.max(1, Math.min(timeoutMs, untilMs - performance.now()))),
    trouble: (cause) => {
      wire.close("given up");
      return sessionTrouble(endpoint, progress, cause);
    },
  };
  // RFC 3030 §4.2 would let BDAT follow the envelope unread. A refused recipient would cost the whole message then,
  // and a connection that broke would leave every message in doubt, for the round trip that DATA costs too.
  const isChunked = offers.has("CHUNKING");
  const taken = offers.has("PIPELINING")
    ? await sendTogether(step, envelope, isChunked)
    : await sendInTurn(step, envelope, isChunked);
  progress.envelopeMs = performance.now() - progress.startedMs;
  if (taken !== "go") return taken;

  if (wire.hasUnread) return answeredEarly(step);
  progress.isBodyStarted = true;
  const hindered = isChunked
    ? await sendChunk(step, mail.parts, bytes, progress)
    : await sendDotted(step, mail.parts, bytes, progress);
  const sentMs = performance.now();
  progress.bodyMs = sentMs - progress.startedMs - progress.envelopeMs;
  if (hindered !== undefined) return hindered;

  const reply = await step.reply(timeouts.finalMs);
  progress.replyMs = performance.now() - sentMs;
  return verdict(step, reply);
}

type Step = {
  wire: Wire;
  timeouts: MessageTimeouts;
  reply(timeoutMs: number): Promise<WireReply | Break>;
  trouble(cause: Break | { why: string; reply?: WireReply }): Sent;
};

/** RFC 2920: all commands in one write. The replies come in their order, and all of them are read. */
async function sendTogether(
  step: Step,
  { mail, recipient }: Envelope,
  isChunked: boolean,
): Promise<"go" | Sent> {
  const { wire, timeouts } = step;
  wire.write(isChunked ? mail + recipient : `${mail}${recipient}DATA\r\n`);
  let refused: Sent | undefined;
  let isSenderRefused = false;
  for (const command of ["MAIL", "RCPT"]) {
    const reply = await step.reply(timeouts.commandMs);
    // What is refused stays so, though the session breaks before the rest of the replies.
    const heard = hear(step, reply, 2);
    if (heard === "go") continue;
    refused ??= heard;
    if (heard.kind === "trouble") return refused;
    isSenderRefused ||= command === "MAIL";
  }
  if (isChunked) return refused ?? "go";

  const data = await step.reply(timeouts.commandMs);
  const heard = hear(step, data, 3);
  if (refused === undefined) return heard;
  if (heard === "go") await endEmpty(step, isSenderRefused);
  return refused;
}

/** One command after the reply to the other, for servers without PIPELINING. */
async function sendInTurn(
  step: Step,
  { mail, recipient }: Envelope,
  isChunked: boolean,
): Promise<"go" | Sent> {
  const commands = [
    { line: mail, wants: 2 },
    { line: recipient, wants: 2 },
    ...(isChunked ? [] : [{ line: "DATA\r\n", wants: 3 }]),
  ];
  for (const { line, wants } of commands) {
    if (step.wire.hasUnread) return step.trouble({ why: "it answered more than it was asked" });
    step.wire.write(line);
    const heard = hear(step, await step.reply(step.timeouts.commandMs), wants);
    if (heard !== "go") return heard;
  }
  return "go";
}

/** What the reply to a command means: on we go, the message is refused, or the session is of no more use. */
function hear(step: Step, reply: WireReply | Break, wants: number): "go" | Sent {
  const isWanted = reply.kind === "reply" && Math.floor(reply.code / 100) === wants;
  return isWanted ? "go" : decline(step, reply);
}

function decline(step: Step, reply: WireReply | Break): Sent {
  if (reply.kind === "break") return step.trouble(reply);
  // RFC 5321 §3.8: 421 says that the server closes, to whichever command.
  if (reply.code === 421) return step.trouble({ why: "it is closing", reply });
  if (reply.code >= 400) return refusal(reply);
  return step.trouble({ why: `it answered out of turn: ${quote(reply)}` });
}

/**
 * The server wants the message though it refused the recipient. An empty message has nobody to go to; when it refused
 * the sender, there is no transaction to end, and the connection is dropped.
 */
async function endEmpty({ wire, timeouts, reply }: Step, isSenderRefused: boolean): Promise<void> {
  if (isSenderRefused || wire.hasUnread) return wire.close("it wanted a message that it had refused");
  wire.write(".\r\n");
  await reply(timeouts.commandMs);
}

async function sendDotted(
  step: Step,
  parts: readonly Buffer[],
  bytes: number,
  progress: Progress,
): Promise<Sent | undefined> {
  const { wire, timeouts } = step;
  if (bytes <= pieceBytes) {
    progress.isBodyEnded = true;
    wire.write(dotted(parts, bytes), `(${bytes} bytes)\n.`);
    return undefined;
  }
  let isLineStart = true;
  for (const piece of piecesOf(parts)) {
    const hindered = await deliver(step, stuffed(piece, isLineStart));
    isLineStart = piece.at(-1) === LF;
    if (hindered !== undefined) return hindered;
  }
  progress.isBodyEnded = true;
  const taken = await wire.deliver(endingOf(parts), ".", timeouts.blockMs);
  return typeof taken === "string" ? undefined : step.trouble(taken);
}
const LF = 10;

/** RFC 3030 §2: the whole message as one chunk, byte for byte. */
async function sendChunk(
  step: Step,
  parts: readonly Buffer[],
  bytes: number,
  progress: Progress,
): Promise<Sent | undefined> {
  const { wire, timeouts } = step;
  const command = Buffer.from(`BDAT ${bytes} LAST\r\n`);
  if (bytes <= pieceBytes) {
    progress.isBodyEnded = true;
    wire.write(Buffer.concat([command, ...parts], command.length + bytes), `${command}(${bytes} bytes)`);
    return undefined;
  }
  wire.write(command, command.toString());
  let left = bytes;
  for (const piece of piecesOf(parts)) {
    left -= piece.length;
    if (left === 0) {
      progress.isBodyEnded = true;
      const taken = await wire.deliver(piece, undefined, timeouts.blockMs);
      return typeof taken === "string" ? undefined : step.trouble(taken);
    }
    const hindered = await deliver(step, piece);
    if (hindered !== undefined) return hindered;
  }
  return undefined;
}

/** A piece that is not the last. A server that answers while the message is on its way does not want the rest. */
async function deliver(step: Step, piece: Buffer): Promise<Sent | undefined> {
  const taken = await step.wire.deliver(piece, undefined, step.timeouts.blockMs);
  if (taken === "taken") return undefined;
  return taken === "answered" ? answeredEarly(step) : step.trouble(taken);
}

/**
 * A server that answers before it has the whole message can refuse it, but not take it. Where a message is due there is
 * no next command, so the connection is of no more use.
 */
async function answeredEarly(step: Step): Promise<Sent> {
  const reply = await step.reply(step.timeouts.commandMs);
  const early = decline(step, reply);
  step.wire.close("it answered before the message was sent");
  return early;
}

function* piecesOf(parts: readonly Buffer[]): Generator<Buffer> {
  for (const part of parts)
    for (let at = 0; at < part.length; at += pieceBytes) yield part.subarray(at, at + pieceBytes);
}

/** The answer to the message. A 2xx counts when it is well formed; what is no answer leaves the message in doubt. */
function verdict(step: Step, reply: WireReply | Break): Sent {
  if (reply.kind === "break") return step.trouble(reply);
  if (reply.code >= 400) return refusal(reply);
  const parsed = reply.code < 300 ? parseReply(reply.text) : undefined;
  if (parsed !== undefined) return { kind: "accepted", reply: parsed };
  return step.trouble({ why: `it answered the message with ${quote(reply)}` });
}

function refusal({ code, text }: WireReply): Sent {
  return { kind: "refused", reply: parseReply(text) ?? { code, text: "" } };
}

const quote = ({ text }: WireReply) => JSON.stringify(text.slice(0, 100));
