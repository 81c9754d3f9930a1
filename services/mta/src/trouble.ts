import type { Conversation, Reason, Reply } from "@tyto/contracts";
import { classifyReply, parseReply } from "@tyto/mail";

/** Where to connect. `name` is checked against the certificate and may be an IP address. */
export type Endpoint = { name: string; ip: string; port: number };

/** The connection or the session failed; nobody answered the message. */
export type Trouble = {
  kind: "trouble";
  step: "connect" | "greeting" | "tls" | "session";
  reason: Reason;
  explanation: string;
  reply?: Reply;
  /** The final dot was on its way: the server may have taken the message. */
  isInDoubt: boolean;
  /** The other side ended the connection before it heard anything of this message's body. */
  isHungUp: boolean;
  /** The handshake failed because the server knows only versions of TLS before 1.2. */
  isTlsTooOld: boolean;
  /** Why there is no encrypted session, where that is known (RFC 8460 §4.3). */
  tlsFailure?: "not-offered" | "handshake" | "peer";
  /** The encrypted connection that was given up because of its peer. */
  tls?: Conversation["tls"];
};

/** What came of one message on one session. */
export type Sent =
  | { kind: "accepted"; reply: Reply }
  | { kind: "refused"; reply: Reply }
  /** The server does not offer what this message needs; nothing was sent. */
  | { kind: "unfit"; reason: Reason; explanation: string }
  /** Stopped by the caller before the body began. */
  | { kind: "interrupted" }
  | Trouble;

/** Errors of nodemailer carry the code of the failure, the reply that caused it and the command it answered. */
export type SmtpError = Error & {
  code?: string | undefined;
  originalCode?: string | undefined;
  response?: string | undefined;
  command?: string | undefined;
  timeoutType?: string | undefined;
};

/** Why a session did not come about. A 4xx or 5xx greeting is about the host, not about the message. */
export function openingTrouble(error: SmtpError, { name, ip }: Endpoint, isUpgrading: boolean): Trouble {
  const reply = replyOf(error);
  const where = `${name} [${ip}]`;
  const common = { kind: "trouble", isInDoubt: false, isHungUp: false, isTlsTooOld: false } as const;
  // Only a session that demands TLS fails so: others go on with HELO, or in the clear.
  const isRefused =
    !isUpgrading &&
    (error.command === "STARTTLS" || error.command === "EHLO") &&
    reply !== undefined &&
    reply.code !== 421;
  if (isRefused)
    return {
      ...common,
      step: "tls",
      reason: "network.tls",
      explanation: `${where} does not offer to encrypt the session`,
      tlsFailure: "not-offered",
      reply,
    };
  if (isUpgrading || error.code === "ETLS")
    return {
      ...common,
      step: "tls",
      reason: "network.tls",
      explanation: `no TLS with ${where}: ${wordsOf(error)}`,
      tlsFailure: "handshake",
      isTlsTooOld: /PROTOCOL_VERSION|UNSUPPORTED_PROTOCOL/.test(error.originalCode ?? ""),
    };
  if (reply !== undefined && reply.code >= 400)
    return {
      ...common,
      step: "greeting",
      reason: classifyReply(reply).reason,
      explanation: `${where} takes no mail at the moment`,
      reply,
    };
  return {
    ...common,
    step: "greeting",
    reason: "receiver.busy",
    explanation: `${where} did not begin a session: ${wordsOf(error)}`,
  };
}

export type Progress = { isBodyStarted: boolean; isBodyEnded: boolean };

/**
 * What a failed message means. Replies to MAIL, RCPT, DATA and the message are refusals; 421 and lost connections are
 * about the session. Whatever is no reply at all decides nothing.
 */
export function sendingTrouble(error: SmtpError, { name, ip }: Endpoint, progress: Progress): Sent {
  const reply = replyOf(error);
  const isAnswer = error.code === "EENVELOPE" || error.code === "EMESSAGE";
  if (isAnswer && reply !== undefined && reply.code >= 400 && (reply.code !== 421 || progress.isBodyEnded))
    return { kind: "refused", reply };

  const isFinalAnswer = error.code === "EMESSAGE" && error.response !== undefined;
  const isInDoubt = progress.isBodyEnded;
  const doubt = isInDoubt ? " after the whole message was sent; it may have arrived" : "";
  const what = isFinalAnswer
    ? `answered the message with something that is no reply: ${JSON.stringify(error.response?.slice(0, 100))}`
    : wordsOf(error);
  return {
    kind: "trouble",
    step: "session",
    reason: reply === undefined ? "receiver.busy" : classifyReply(reply).reason,
    explanation: `the session with ${name} [${ip}] failed${doubt}: ${what}`,
    ...(reply === undefined ? {} : { reply }),
    isInDoubt,
    isHungUp:
      !progress.isBodyStarted && error.code !== "ETIMEDOUT" && (reply === undefined || reply.code === 421),
    isTlsTooOld: false,
  };
}

/** A 2xx counts only when it is well formed and the whole message had gone out before it. */
export function acceptance(response: string, endpoint: Endpoint, isBodyEnded: boolean): Sent {
  const reply = isUniform(response) ? parseReply(response) : undefined;
  if (isBodyEnded && reply !== undefined && reply.code < 300) return { kind: "accepted", reply };
  const why = isBodyEnded
    ? `the answer to the message is no reply: ${JSON.stringify(response.slice(0, 100))}`
    : "the server answered before the message was sent";
  return {
    kind: "trouble",
    step: "session",
    reason: "receiver.busy",
    explanation: `the session with ${endpoint.name} [${endpoint.ip}] failed: ${why}`,
    isInDoubt: isBodyEnded,
    isHungUp: false,
    isTlsTooOld: false,
  };
}

/** Every line has the same code, as RFC 5321 §4.2.1 wants it. */
const isUniform = (response: string) =>
  new Set(response.split("\n").map((line) => /^\d{3}(?=[ -]|\r?$)/.exec(line)?.[0])).size === 1;

export const hungUp = ({ name, ip }: Endpoint): Trouble => ({
  kind: "trouble",
  step: "session",
  reason: "receiver.busy",
  explanation: `${name} [${ip}] had closed the session`,
  isInDoubt: false,
  isHungUp: true,
  isTlsTooOld: false,
});

/** The reply behind an error, if it is one: a reply that changes its mind in the middle refuses nothing either. */
const replyOf = ({ response }: SmtpError): Reply | undefined =>
  response !== undefined && isUniform(response) ? parseReply(response) : undefined;

function wordsOf(error: SmtpError): string {
  const code = error.originalCode ?? error.timeoutType ?? error.code;
  return code === undefined ? error.message : `${error.message} (${code})`;
}

/** The encrypted connection stands, but not with whom it has to. */
export const untrusted = ({ name, ip }: Endpoint, problem: string): Trouble => ({
  kind: "trouble",
  step: "tls",
  reason: "network.tls",
  explanation: `${name} [${ip}] is not trusted: ${problem}`,
  isInDoubt: false,
  isHungUp: false,
  isTlsTooOld: false,
  tlsFailure: "peer",
});

export const unreachable = ({ name, ip, port }: Endpoint, why: string): Trouble => ({
  kind: "trouble",
  step: "connect",
  reason: "network.unreachable",
  explanation: `no connection to ${name} [${ip}]:${port}: ${why}`,
  isInDoubt: false,
  isHungUp: false,
  isTlsTooOld: false,
});
