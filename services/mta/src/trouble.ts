import { type Conversation, phrase, type Reason, type Reply } from "@tyto/contracts";
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
  /** Why there is no connection: a code of the system, or a few words. */
  why?: string;
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
  const server = { name, ip };
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
      explanation: phrase("session.plain", server),
      tlsFailure: "not-offered",
      reply,
    };
  if (isUpgrading || error.code === "ETLS")
    return {
      ...common,
      step: "tls",
      reason: "network.tls",
      explanation: phrase("session.no-tls", { ...server, why: wordsOf(error) }),
      tlsFailure: "handshake",
      isTlsTooOld: /PROTOCOL_VERSION|UNSUPPORTED_PROTOCOL/.test(error.originalCode ?? ""),
    };
  if (reply !== undefined && reply.code >= 400)
    return {
      ...common,
      step: "greeting",
      reason: classifyReply(reply).reason,
      explanation: phrase("session.takes-none", server),
      reply,
    };
  return {
    ...common,
    step: "greeting",
    reason: "receiver.busy",
    explanation: phrase("session.not-begun", { ...server, why: wordsOf(error) }),
  };
}

/** What ended a session while a message was on its way: a reply about the session, or no reply at all. */
export type Cause = {
  why: string;
  reply?: { text: string };
  isTimeout?: boolean;
  /** The beginning of a reply that never ended. */
  unfinished?: string;
};

/** What it means that a session failed; how far the message got decides what the server may have of it. */
export function sessionTrouble(
  { name, ip }: Endpoint,
  progress: { isBodyStarted: boolean; isBodyEnded: boolean },
  cause: Cause,
): Trouble {
  // A reply that was cut tells people why; it answers nothing.
  const reply = parseReply(cause.reply?.text ?? failureIn(cause.unfinished));
  const isInDoubt = progress.isBodyEnded;
  return {
    kind: "trouble",
    step: "session",
    reason: reply === undefined ? "receiver.busy" : classifyReply(reply).reason,
    explanation: phrase(isInDoubt ? "session.failed-late" : "session.failed", { name, ip, why: cause.why }),
    ...(reply === undefined ? {} : { reply }),
    isInDoubt,
    isHungUp:
      !progress.isBodyStarted && cause.isTimeout !== true && (reply === undefined || reply.code === 421),
    isTlsTooOld: false,
  };
}

const failureIn = (unfinished = "") => (/^[45]\d\d /.test(unfinished) ? unfinished : "");

/** Every line has the same code, as RFC 5321 §4.2.1 wants it. */
const isUniform = (response: string) =>
  new Set(response.split("\n").map((line) => /^\d{3}(?=[ -]|\r?$)/.exec(line)?.[0])).size === 1;

export const hungUp = ({ name, ip }: Endpoint): Trouble => ({
  kind: "trouble",
  step: "session",
  reason: "receiver.busy",
  explanation: phrase("session.closed", { name, ip }),
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
  explanation: phrase("session.untrusted", { name, ip, why: problem }),
  isInDoubt: false,
  isHungUp: false,
  isTlsTooOld: false,
  tlsFailure: "peer",
});

/** The server that was to know us by a user and a password does not. */
export const unauthenticated = ({ name, ip }: Endpoint, why: string, answer?: { text: string }): Trouble => {
  const reply = answer === undefined ? undefined : parseReply(answer.text);
  return {
    kind: "trouble",
    step: "greeting",
    reason: "local.trouble",
    explanation: phrase("session.unauthenticated", { name, ip, why }),
    ...(reply === undefined ? {} : { reply }),
    isInDoubt: false,
    isHungUp: false,
    isTlsTooOld: false,
  };
};

export const unreachable = (
  { name, ip, port }: Endpoint,
  why: string,
  reason: Reason = "network.unreachable",
): Trouble => ({
  kind: "trouble",
  step: "connect",
  reason,
  explanation: phrase("session.unreachable", { name, ip, port: `${port}`, why }),
  why,
  isInDoubt: false,
  isHungUp: false,
  isTlsTooOld: false,
});
