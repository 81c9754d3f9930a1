import type { Socket } from "node:net";
import { checkServerIdentity, TLSSocket } from "node:tls";
import type { Conversation } from "@tyto/contracts";
import type { Egress } from "./egress.ts";
import { describeCertificate } from "./tls/peer.ts";
import { type Endpoint, hungUp, type Sent, type Trouble, untrusted } from "./trouble.ts";
import { authenticate, type Credentials } from "./wire/authenticate.ts";
import { connect } from "./wire/connect.ts";
import type { Mail } from "./wire/envelope.ts";
import { type Greeted, greet, type TlsLevel } from "./wire/greeting.ts";
import { type MessageTimeouts, type Progress, transact } from "./wire/transaction.ts";
import { createScribe, noScribe, type Scribe, type Transcript } from "./wire/transcript.ts";
import { createWire, type Wire } from "./wire/wire.ts";

export type { Mail } from "./wire/envelope.ts";
export type { TlsLevel } from "./wire/greeting.ts";

/** How long each step may take, in ms; see RFC 5321 §4.5.3.2. */
export type Timeouts = MessageTimeouts & {
  connectMs: number;
  greetingMs: number;
};

/** Milliseconds; for what they stand see Conversation. */
export type Timings = Pick<Conversation, "connectMs" | "tlsMs" | "envelopeMs" | "bodyMs" | "replyMs">;

/** An open SMTP session that takes one message at a time. */
export type Session = {
  readonly endpoint: Endpoint;
  /** The address that the server sees, as far as it is known; proxies seldom tell. */
  readonly localIp: string | undefined;
  readonly tls: Conversation["tls"];
  readonly isOpen: boolean;
  send(mail: Mail, signal?: AbortSignal): Promise<Sent>;
  /** Of the last message, as far as it went; with the first message of a session, of the opening too. */
  readonly timings: Timings;
  /** RSET after a refusal; false when the session cannot be used again. */
  reset(): Promise<boolean>;
  /** Says QUIT and closes, at the latest after `quitMsMax`. */
  quit(): void;
  /** Called once when the connection is closed, whoever ends it: behind QUIT the server still counts it. */
  onEnd(listener: () => void): void;
};

export type OpenOptions = {
  egress: Egress;
  timeouts: Timeouts;
  tls: TlsLevel;
  /** The name sent by SNI and looked for in the certificate; the endpoint's own by default. */
  serverName?: string | undefined;
  /** Certificates of authorities, PEM, trusted besides those that come with Bun. */
  authorities?: readonly string[] | undefined;
  /**
   * Looks at the peer of an encrypted connection before any mail is sent. A text says what is wrong with it; then the
   * connection is closed and the text becomes the trouble's explanation.
   */
  checkPeer?: ((socket: TLSSocket) => string | undefined) | undefined;
  /** For servers that take mail from known users only; told once the peer was looked at. */
  credentials?: Credentials | undefined;
  /** Who follows the session, line by line. */
  transcript?: Transcript | undefined;
  signal?: AbortSignal | undefined;
};

const quitMsMax = 5_000;
const problemCharsMax = 300;

/**
 * Connects, waits for the greeting, says EHLO, and encrypts when the server offers it. Opportunistic: a certificate is
 * looked at and told, not demanded (RFC 7435).
 */
export async function openSession(endpoint: Endpoint, options: OpenOptions): Promise<Session | Trouble> {
  const scribe = options.transcript === undefined ? noScribe : createScribe(options.transcript);
  const stands = await stand(endpoint, options, scribe);
  if (stands.kind === "trouble") {
    scribe.note("*", stands.explanation);
    return stands;
  }
  const { socket, offers, early, tls } = stands;
  if (tls !== null) scribe.note("*", `encrypted with ${tls.version} ${tls.cipher}`);
  const wire = createWire(socket, early, scribe);
  const { credentials, timeouts } = options;
  const refused =
    credentials && (await authenticate(wire, endpoint, offers, credentials, timeouts.commandMs));
  if (refused !== undefined) return { ...refused, tls };
  return sessionOf({ endpoint, stands, wire, timeouts, scribe });
}

/** A connection that was greeted, perhaps encrypted, to a peer that was looked at. */
type Stands = Omit<Greeted, "kind"> & {
  kind: "stands";
  localIp: string | undefined;
  tls: Conversation["tls"];
  connectMs: number;
};

async function stand(endpoint: Endpoint, options: OpenOptions, scribe: Scribe): Promise<Stands | Trouble> {
  const { egress, timeouts, serverName = endpoint.name, authorities, signal } = options;
  const startedMs = performance.now();
  const connected = await connect(endpoint, egress, timeouts.connectMs, signal);
  if (connected.kind === "trouble") return connected;
  const connectMs = performance.now() - startedMs;
  scribe.note("*", `connected to ${endpoint.name} [${endpoint.ip}]:${endpoint.port}`);
  const greeted = await greet(connected.socket, endpoint, {
    ...{ tls: options.tls, serverName, authorities, scribe, signal },
    ehloName: egress.ehloName,
    greetingMs: timeouts.greetingMs,
    commandMs: timeouts.commandMs,
  });
  if (greeted.kind === "trouble") return greeted;
  const { socket } = greeted;
  const tls = describeTls(socket, serverName);
  const problem = socket instanceof TLSSocket ? options.checkPeer?.(socket) : undefined;
  if (problem === undefined)
    return { ...greeted, kind: "stands", localIp: connected.localIp, tls, connectMs };
  socket.destroy();
  return { ...untrusted(endpoint, problem), tls };
}

type Parts = {
  endpoint: Endpoint;
  stands: Stands;
  wire: Wire;
  timeouts: Timeouts;
  scribe: Scribe;
};

function sessionOf({ endpoint, stands, wire, timeouts, scribe }: Parts): Session {
  const { offers, localIp, tls, connectMs, tlsMs } = stands;
  let timings = timingsOf({ connectMs, tlsMs });
  let isFresh = true;
  const interruption = createInterruption(() => wire.close("stopped"));
  wire.onEnd(interruption.forget);

  async function send(mail: Mail, signal?: AbortSignal): Promise<Sent> {
    if (signal?.aborted) return { kind: "interrupted" };
    if (!wire.isOpen) return hungUp(endpoint);
    const progress = newProgress();
    wire.isAsked = true;
    scribe.begin(mail.to);
    interruption.watch(signal, progress);
    const sent = await transact(wire, endpoint, mail, offers, timeouts, progress);
    const isInterrupted = interruption.rest();
    wire.isAsked = false;
    timings = isFresh ? { ...timings, ...timingsOf(progress) } : timingsOf(progress);
    isFresh = false;
    if (isInterrupted && sent.kind === "trouble") return { kind: "interrupted" };
    // What stands behind the answer would be taken for the answer to the next message.
    if (wire.hasUnread) wire.close("it answered more than it was asked");
    return sent;
  }

  return {
    ...{ endpoint, localIp, tls, send },
    get isOpen() {
      return wire.isOpen;
    },
    get timings() {
      return timings;
    },
    async reset() {
      if (!wire.isOpen) return false;
      wire.isAsked = true;
      wire.write("RSET\r\n");
      const reply = await wire.reply(timeouts.commandMs);
      wire.isAsked = false;
      const isReset = reply.kind === "reply" && reply.code < 300 && !wire.hasUnread;
      if (!isReset) wire.close("it refused RSET");
      return isReset;
    },
    quit: () => wire.quit(quitMsMax),
    onEnd: (listener) => wire.onEnd(listener),
  };
}

const newProgress = (): Progress => ({
  isBodyStarted: false,
  isBodyEnded: false,
  startedMs: performance.now(),
  envelopeMs: undefined,
  bodyMs: undefined,
  replyMs: undefined,
});

function timingsOf(steps: Partial<Record<keyof Timings, number | undefined>>): Timings {
  const { connectMs, tlsMs, envelopeMs, bodyMs, replyMs } = steps;
  return {
    ...(connectMs === undefined ? {} : { connectMs: Math.round(connectMs) }),
    ...(tlsMs === undefined ? {} : { tlsMs: Math.round(tlsMs) }),
    ...(envelopeMs === undefined ? {} : { envelopeMs: Math.round(envelopeMs) }),
    ...(bodyMs === undefined ? {} : { bodyMs: Math.round(bodyMs) }),
    ...(replyMs === undefined ? {} : { replyMs: Math.round(replyMs) }),
  };
}

/**
 * Cuts a message off when the caller stops, as long as its body has not begun. All messages of a session come with the
 * same signal as a rule: the listener stays with it instead of coming and going with each.
 */
function createInterruption(cut: () => void) {
  let watched: AbortSignal | undefined;
  let underWay: Progress | undefined;
  let isCut = false;
  const interrupt = () => {
    if (underWay === undefined || underWay.isBodyStarted) return;
    isCut = true;
    cut();
  };
  const watch = (signal: AbortSignal | undefined, progress: Progress | undefined) => {
    underWay = progress;
    if (signal === watched) return;
    watched?.removeEventListener("abort", interrupt);
    watched = signal;
    watched?.addEventListener("abort", interrupt);
  };
  return {
    watch,
    /** The message is over; tells whether it was cut off. */
    rest(): boolean {
      underWay = undefined;
      return isCut;
    },
    forget: () => watch(undefined, undefined),
  };
}

function describeTls(socket: Socket, name: string): Conversation["tls"] {
  if (!(socket instanceof TLSSocket)) return null;
  const peer = socket.getPeerCertificate();
  // Bun checks the name only when it is told to reject; here it is told to go on and say so.
  const problem = socket.authorized
    ? checkServerIdentity(name, peer)?.message
    : String(socket.authorizationError);
  const certificate = describeCertificate(peer);
  return {
    version: socket.getProtocol() ?? "unknown",
    cipher: socket.getCipher()?.name ?? "unknown",
    authorized: problem === undefined,
    ...(problem === undefined ? {} : { problem: problem.slice(0, problemCharsMax) }),
    ...(certificate === undefined ? {} : { certificate }),
  };
}
