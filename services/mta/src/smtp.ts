import { connect as connectTcp, isIP, type Socket } from "node:net";
import { Readable } from "node:stream";
import { checkServerIdentity, rootCertificates, TLSSocket } from "node:tls";
import type { Address, Conversation } from "@tyto/contracts";
import { wireName } from "@tyto/dns";
import SMTPConnection from "nodemailer/lib/smtp-connection";
import {
  acceptance,
  type Endpoint,
  hungUp,
  openingTrouble,
  type Sent,
  type SmtpError,
  sendingTrouble,
  type Trouble,
  unreachable,
  untrusted,
} from "./trouble.ts";

/** How long each step may take, in ms; see RFC 5321 §4.5.3.2. */
export type Timeouts = {
  connectMs: number;
  greetingMs: number;
  commandMs: number;
  /** Without a byte taken by the server while the message is sent. */
  blockMs: number;
  /** For the reply to the final dot. */
  finalMs: number;
  /** For a whole message, however busy the server keeps the connection. */
  messageMs: number;
};

/** What to send. `parts` are bytes with CRLF line ends, sent one behind the other. */
export type Mail = {
  envelopeId: string;
  from: Address;
  to: Address;
  parts: readonly Buffer[];
  has8Bit: boolean;
  /** The server must promise to encrypt on its own way too (RFC 8689): MAIL FROM with REQUIRETLS. */
  requireTls?: boolean;
};

/** An open SMTP session that takes one message at a time. */
export type Session = {
  readonly endpoint: Endpoint;
  readonly localIp: string | undefined;
  readonly tls: Conversation["tls"];
  readonly isOpen: boolean;
  send(mail: Mail, signal?: AbortSignal): Promise<Sent>;
  /** RSET after a refusal; false when the session cannot be used again. */
  reset(): Promise<boolean>;
  /** Says QUIT and closes, at the latest after `quitMsMax`. */
  quit(): void;
  /** Called once when the session ends, whoever ends it. */
  onEnd(listener: () => void): void;
};

/**
 * `demanded`: no session without STARTTLS and TLS 1.2 or newer. `modern` wants TLS 1.2 or newer where the server offers any,
 * `legacy` takes older versions as better than none, `none` does not ask for TLS.
 */
export type TlsLevel = "demanded" | "modern" | "legacy" | "none";

export type OpenOptions = {
  ehloName: string;
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
  signal?: AbortSignal | undefined;
};

const replyBytesMax = 65_536;
const quitMsMax = 5_000;
const pieceBytes = 65_536;

/**
 * Connects, waits for the greeting, says EHLO, and encrypts when the server offers it. Opportunistic: a certificate is
 * looked at and told, not demanded (RFC 7435).
 */
export async function openSession(endpoint: Endpoint, options: OpenOptions): Promise<Session | Trouble> {
  const socket = await connectSocket(endpoint, options.timeouts.connectMs, options.signal);
  if ("kind" in socket) return socket;
  const localIp = socket.localAddress;
  const { timeouts, authorities = [] } = options;
  const serverName = options.serverName ?? endpoint.name;
  const isDemanded = options.tls === "demanded";
  const connection = new SMTPConnection({
    host: endpoint.ip,
    port: endpoint.port,
    connection: socket,
    secure: false,
    name: options.ehloName,
    ...(isIP(serverName) === 0 ? { servername: serverName } : {}),
    requireTLS: isDemanded,
    opportunisticTLS: !isDemanded,
    ignoreTLS: options.tls === "none",
    tls: {
      rejectUnauthorized: false,
      minVersion: options.tls === "legacy" ? "TLSv1" : "TLSv1.2",
      ...(authorities.length === 0 ? {} : { ca: [...rootCertificates, ...authorities] }),
    },
    // Covers the greeting and the TLS handshake; the TCP connection stands already.
    connectionTimeout: 2 * timeouts.greetingMs,
    greetingTimeout: timeouts.greetingMs,
    socketTimeout: timeouts.commandMs,
    socketCloseTimeout: quitMsMax,
    maxResponseSize: replyBytesMax,
  });

  let isOpen = true;
  const endListeners: (() => void)[] = [];
  /** Takes the failure of whatever is under way; an error while nothing is under way only ends the session. */
  let fail: (error: SmtpError) => void = () => {};
  const end = () => {
    if (!isOpen) return;
    isOpen = false;
    for (const listener of endListeners) listener();
    // nodemailer closes before it tells why; this stands in only for those ends that it tells nobody about.
    const waiting = fail;
    setImmediate(() => waiting(new Error("the connection was closed")));
  };
  connection.on("error", (error: SmtpError) => fail(error));
  connection.on("end", end);

  const abort = () => connection.close();
  options.signal?.addEventListener("abort", abort);
  const failure = await new Promise<SmtpError | undefined>((resolve) => {
    fail = resolve;
    connection.connect(resolve);
  });
  options.signal?.removeEventListener("abort", abort);
  fail = () => {};
  if (failure !== undefined) {
    connection.close();
    return openingTrouble(failure, endpoint, connection.upgrading === true);
  }

  const tls = describeTls(connection._socket, serverName);
  const problem =
    connection._socket instanceof TLSSocket ? options.checkPeer?.(connection._socket) : undefined;
  if (problem !== undefined) {
    connection.close();
    return { ...untrusted(endpoint, problem), tls };
  }
  const offers = offersOf(connection);
  const setTimeoutMs = (ms: number) => {
    if (connection._socket) connection._socket.setTimeout(ms);
  };

  async function send(mail: Mail, signal?: AbortSignal): Promise<Sent> {
    if (signal?.aborted) return { kind: "interrupted" };
    if (!isOpen) return hungUp(endpoint);
    const bodyBytes = mail.parts.reduce((sum, part) => sum + part.length, 0);
    const unfit = fitness(mail, bodyBytes, offers);
    if (unfit !== undefined) return unfit;

    let isBodyStarted = false;
    const body = bodyOf(mail.parts, () => {
      isBodyStarted = true;
      setTimeoutMs(timeouts.blockMs);
    });
    body.once("end", () => setTimeoutMs(timeouts.finalMs));
    const progress = () => ({ isBodyStarted, isBodyEnded: body.readableEnded });

    const { promise, resolve } = Promise.withResolvers<Sent>();
    const deadline = setTimeout(() => {
      resolve(sendingTrouble(new Error("it took too long"), endpoint, progress()));
      connection.close();
    }, timeouts.messageMs);
    const interrupt = () => {
      // Once the body is under way it is finished: cutting it would waste what the server has taken so far.
      if (isBodyStarted) return;
      resolve({ kind: "interrupted" });
      connection.close();
    };
    signal?.addEventListener("abort", interrupt);
    fail = (error) => resolve(sendingTrouble(error, endpoint, progress()));
    connection.send(envelopeOf(mail, bodyBytes), body, (error, info) =>
      resolve(
        error
          ? sendingTrouble(error, endpoint, progress())
          : acceptance(info?.response ?? "", endpoint, body.readableEnded),
      ),
    );
    const sent = await promise;
    clearTimeout(deadline);
    signal?.removeEventListener("abort", interrupt);
    fail = () => {};
    body.destroy();
    if (sent.kind === "trouble") connection.close();
    else setTimeoutMs(timeouts.commandMs);
    return sent;
  }

  return {
    endpoint,
    localIp,
    tls,
    get isOpen() {
      return isOpen;
    },
    send,
    reset: () =>
      new Promise<boolean>((resolve) => {
        if (!isOpen) return resolve(false);
        fail = () => resolve(false);
        connection.reset((error) => {
          fail = () => {};
          if (error) connection.close();
          resolve(!error);
        });
      }),
    quit() {
      if (!isOpen) return;
      setTimeoutMs(quitMsMax);
      connection.quit();
    },
    onEnd(listener) {
      if (isOpen) endListeners.push(listener);
      else listener();
    },
  };
}

async function connectSocket(
  endpoint: Endpoint,
  timeoutMs: number,
  signal: AbortSignal | undefined,
): Promise<Socket | Trouble> {
  const { promise, resolve } = Promise.withResolvers<Socket | string>();
  const socket = connectTcp({ host: endpoint.ip, port: endpoint.port });
  const timer = setTimeout(resolve, timeoutMs, `no answer within ${timeoutMs / 1_000} s`);
  const abort = () => resolve("stopped");
  signal?.addEventListener("abort", abort);
  socket.once("connect", () => resolve(socket));
  // Stays for the life of the socket: between two owners an error must not be unhandled.
  socket.on("error", (error: Error & { code?: string }) => resolve(error.code ?? error.message));
  const result = await promise;
  clearTimeout(timer);
  signal?.removeEventListener("abort", abort);
  if (typeof result !== "string") return result;
  socket.destroy();
  return unreachable(endpoint, result);
}

type Offers = { has(keyword: string): boolean; sizeMax: number };

/** What EHLO offered. nodemailer keeps it in fields that its types do not show. */
function offersOf(connection: SMTPConnection): Offers {
  const { _supportedExtensions = [], _maxAllowedSize = 0 } = connection as unknown as {
    _supportedExtensions?: string[];
    _maxAllowedSize?: number;
  };
  return { has: (keyword) => _supportedExtensions.includes(keyword), sizeMax: _maxAllowedSize };
}

function fitness(mail: Mail, bodyBytes: number, offers: Offers): Sent | undefined {
  // RFC 6531 §3.2: nodemailer would send the raw address to a server that cannot handle it.
  if (!isAscii(wireAddress(mail.to)) && !offers.has("SMTPUTF8"))
    return {
      kind: "unfit",
      reason: "address.needs-smtputf8",
      explanation: "the server does not offer SMTPUTF8 (RFC 6531)",
    };
  // RFC 8689 §4.2.1: the message stays here rather than to travel without the promise.
  if (mail.requireTls === true && !offers.has("REQUIRETLS"))
    return {
      kind: "unfit",
      reason: "network.tls",
      explanation:
        "5.7.30 the message requires TLS all the way, and the server does not offer REQUIRETLS (RFC 8689)",
    };
  // RFC 1870 §6: an announced limit makes the message not worth sending.
  if (offers.sizeMax > 0 && bodyBytes > offers.sizeMax)
    return {
      kind: "unfit",
      reason: "content.too-large",
      explanation: `the message has ${bodyBytes} bytes, the server takes ${offers.sizeMax}`,
    };
  return undefined;
}

const isAscii = (text: string) => /^[\0-\x7f]*$/.test(text);

/** The address with its domain in A-labels (RFC 5890), which every server understands. */
function wireAddress(address: string): string {
  const at = address.lastIndexOf("@");
  return `${address.slice(0, at)}@${wireName(address.slice(at + 1))}`;
}

const envelopeOf = (mail: Mail, bodyBytes: number) => ({
  from: mail.from,
  to: [wireAddress(mail.to)],
  size: bodyBytes,
  use8BitMime: mail.has8Bit,
  requireTLSExtensionEnabled: mail.requireTls === true,
  dsn: { ret: "HDRS", envid: mail.envelopeId },
});

/** The message as a stream, in pieces: its end tells that the final dot goes out, its start that the server asked for it. */
function bodyOf(parts: readonly Buffer[], onStart: () => void): Readable {
  const bytes = parts.filter((part) => part.length > 0);
  let part = 0;
  let offset = 0;
  return new Readable({
    read() {
      if (part === 0 && offset === 0) onStart();
      const current = bytes[part];
      if (current === undefined) {
        this.push(null);
        return;
      }
      const piece = current.subarray(offset, offset + pieceBytes);
      offset += piece.length;
      if (offset >= current.length) {
        part++;
        offset = 0;
      }
      this.push(piece);
    },
  });
}

function describeTls(socket: Socket | false | null, name: string): Conversation["tls"] {
  if (!(socket instanceof TLSSocket)) return null;
  // Bun checks the name only when it is told to reject; here it is told to go on and say so.
  const isNamed = checkServerIdentity(name, socket.getPeerCertificate()) === undefined;
  return {
    version: socket.getProtocol() ?? "unknown",
    cipher: socket.getCipher()?.name ?? "unknown",
    authorized: socket.authorized && isNamed,
  };
}
