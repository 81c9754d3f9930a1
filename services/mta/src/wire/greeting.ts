import { isIP, type Socket } from "node:net";
import { rootCertificates, type TLSSocket } from "node:tls";
import SMTPConnection from "nodemailer/lib/smtp-connection";
import { type Endpoint, openingTrouble, type SmtpError, type Trouble } from "../trouble.ts";
import { type Offers, offersOf } from "./envelope.ts";
import type { Scribe } from "./transcript.ts";

/**
 * `demanded`: no session without STARTTLS and TLS 1.2 or newer. `modern` wants TLS 1.2 or newer where the server offers any,
 * `legacy` takes older versions as better than none, `none` does not ask for TLS.
 */
export type TlsLevel = "demanded" | "modern" | "legacy" | "none";

export type GreetingOptions = {
  ehloName: string;
  tls: TlsLevel;
  /** The name sent by SNI. */
  serverName: string;
  /** Certificates of authorities, PEM, trusted besides those that come with Bun. */
  authorities?: readonly string[] | undefined;
  greetingMs: number;
  commandMs: number;
  scribe: Scribe;
  signal?: AbortSignal | undefined;
};

/** A session that stands: greeted, perhaps encrypted, with what the server offers. */
export type Greeted = {
  kind: "greeted";
  socket: Socket | TLSSocket;
  offers: Offers;
  /** What the server said behind its reply to EHLO, without being asked. */
  early: string;
  /** From STARTTLS until the connection was encrypted. */
  tlsMs: number | undefined;
};

const replyBytesMax = 65_536;
/** EHLO, STARTTLS with its handshake, and EHLO again. */
const commandsMax = 3;

/**
 * Greeting, EHLO or HELO, STARTTLS and the second EHLO: nodemailer's part, which throws away what came in the clear
 * behind the reply to STARTTLS (RFC 3207 §6). Then it lets go of the socket.
 */
export async function greet(
  socket: Socket,
  endpoint: Endpoint,
  options: GreetingOptions,
): Promise<Greeted | Trouble> {
  const { serverName, authorities = [], scribe, signal } = options;
  const isDemanded = options.tls === "demanded";
  const clock = createTlsClock();
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
    connectionTimeout: 2 * options.greetingMs,
    greetingTimeout: options.greetingMs,
    socketTimeout: options.commandMs,
    // A session that did not come about is not worth a farewell.
    socketCloseTimeout: 0,
    maxResponseSize: replyBytesMax,
    transactionLog: true,
    logger: loggerOf((side, text) => {
      clock.see(side, text);
      if (scribe.isHeard()) scribe.note(side, text);
    }),
  });

  const { promise, resolve } = Promise.withResolvers<SmtpError | Greeted>();
  connection.on("error", resolve);
  // nodemailer closes before it tells why; this stands in only for those ends that it tells nobody about.
  connection.on("end", () => setImmediate(() => resolve(new Error("the connection was closed"))));
  const abort = () => connection.close();
  signal?.addEventListener("abort", abort);
  // nodemailer's own timeouts begin anew with each byte, and end with a socket that dies without telling.
  const openingMs = options.greetingMs + commandsMax * options.commandMs;
  const timer = setTimeout(() => resolve(new Error(`no session within ${openingMs / 1_000} s`)), openingMs);
  connection.connect((error?: SmtpError) => resolve(error ?? letGo(connection, clock.tlsMs())));
  const result = await promise;
  clearTimeout(timer);
  signal?.removeEventListener("abort", abort);
  if ("kind" in result) return result;
  connection.close();
  return openingTrouble(result, endpoint, connection.upgrading === true);
}

type Note = (side: ">" | "<", text: string) => void;

/** nodemailer tells a logger what is said; the rest of what it logs is told better by errors. */
function loggerOf(note: Note) {
  const nothing = () => {};
  const debug = ({ tnx }: { tnx?: string } = {}, text = "") => {
    if (tnx === "client") note(">", text);
    if (tnx === "server") note("<", text);
  };
  return {
    level: nothing,
    trace: nothing,
    debug,
    info: nothing,
    warn: nothing,
    error: nothing,
    fatal: nothing,
  };
}

/** How long encrypting took: from STARTTLS to the EHLO that is said under TLS. */
function createTlsClock() {
  let startedMs: number | undefined;
  let tlsMs: number | undefined;
  return {
    see(side: ">" | "<", text: string) {
      if (side === "<") return;
      if (text === "STARTTLS") startedMs = performance.now();
      else if (startedMs !== undefined) tlsMs ??= performance.now() - startedMs;
    },
    tlsMs: () => tlsMs,
  };
}

/** What nodemailer keeps of a session; its types do not show it. */
type Inner = {
  _socket: Socket;
  /** The lines of the last EHLO reply that counts, without their codes and without the first; absent after HELO. */
  _ehloLines?: string[];
  _remainder: string;
  _responseQueue: string[];
  _onSocketData: () => void;
  _onSocketTimeout: () => void;
  _onSocketClose: () => void;
  _onSocketEnd: () => void;
  _onSocketError: () => void;
};

/** Takes nodemailer's listeners off the socket, and with them all that it would still do. */
function letGo(connection: SMTPConnection, tlsMs: number | undefined): Greeted {
  const inner = connection as unknown as Inner;
  const socket = inner._socket;
  const early = [...inner._responseQueue, inner._remainder].join("\n");
  inner._responseQueue = [];
  inner._remainder = "";
  socket.off("data", inner._onSocketData);
  socket.off("timeout", inner._onSocketTimeout);
  socket.off("close", inner._onSocketClose);
  socket.off("end", inner._onSocketEnd);
  socket.off("error", inner._onSocketError);
  return { kind: "greeted", socket, offers: offersOf(inner._ehloLines ?? []), early, tlsMs };
}
