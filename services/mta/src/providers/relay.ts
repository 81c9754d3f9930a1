/** A relay by SMTP (a smarthost) with a user and a password, over our own sessions: it gets the message as it is, signed by us. */
import { checkServerIdentity, type TLSSocket } from "node:tls";
import type { Resolver } from "@tyto/dns";
import { type Carried, carry } from "../courier.ts";
import { findAddresses, type Host } from "../mx.ts";
import type { Failed } from "../outcome.ts";
import { createPool, fixedLimits, type Want } from "../pool/pool.ts";
import { openSession, type Session, type Timeouts } from "../smtp.ts";
import type { Credentials } from "../wire/authenticate.ts";
import type { Provider } from "./provider.ts";

export type RelaySettings = {
  host: string;
  port: number;
  credentials: Credentials | undefined;
  /** `none` is for a relay on the same machine or wire: mail and password go in the clear. */
  tls: "required" | "none";
  atOnceMax: number;
};

export type RelayPorts = {
  resolver: Resolver;
  ehloName: string;
  timeouts: Timeouts;
  /** Certificates of authorities, PEM, trusted besides those that come with Bun. */
  authorities?: readonly string[];
  now: () => number;
};

const idleMsMax = 15_000;
const messagesMax = 100;
const restMs = 10_000;

export function relay(settings: RelaySettings, ports: RelayPorts): Provider {
  // Names that the system alone knows, such as localhost, are none of DNS.
  const name = settings.host === "localhost" ? "127.0.0.1" : settings.host;
  const host: Host = { name, port: settings.port, isTrusted: true, isImplicit: false };
  const pool = createPool<Failed>({
    open: (_host, _want, signal) => open(settings, host, ports, signal),
    connectionsMax: settings.atOnceMax,
    limits: fixedLimits(settings.atOnceMax, messagesMax),
    idleMax: settings.atOnceMax,
    idleMsMax,
    restMs,
    now: ports.now,
    random: Math.random,
  });
  const want: Want = {
    egress: { id: "relay", ehloName: ports.ehloName },
    site: host.name,
    traffic: "transactional",
    owner: "",
  };
  return {
    name: "smtp",
    rewrites: [],
    keepsSignatures: true,
    keepsPromises: true,
    async carry(mailOf, { waitMs, hold, signal }) {
      return told(await carry(mailOf, [host], want, pool, { siteWaitMs: waitMs, hold, signal }));
    },
    close: pool.close,
  };
}

/** 530 to 538 are about authentication (RFC 4954 §6): what is wrong is our account, not the message. */
function told(carried: Carried): Carried {
  if (!("conversation" in carried) || carried.conversation === undefined) return carried;
  const conversation = { ...carried.conversation, provider: "smtp" as const };
  if (carried.kind === "refused" && carried.reply.code >= 530 && carried.reply.code <= 538)
    return {
      kind: "failed",
      isPermanent: false,
      reason: "local.trouble",
      explanation: `the relay ${conversation.mx} wants another user or password`,
      isInDoubt: false,
      reply: carried.reply,
      conversation,
    };
  return { ...carried, conversation };
}

async function open(
  { credentials, tls }: RelaySettings,
  host: Host,
  { resolver, ehloName, timeouts, authorities }: RelayPorts,
  signal: AbortSignal | undefined,
): Promise<Session | { failure: Failed; isRestful: boolean }> {
  const found = await findAddresses(host, resolver, true);
  // A relay that DNS does not know today is a fault of the setting or of DNS, never of the message.
  if (found.kind === "none")
    return { failure: { ...found, kind: "failed", isPermanent: false, isInDoubt: false }, isRestful: false };
  let failure: Failed = {
    kind: "failed",
    isPermanent: false,
    reason: "network.unreachable",
    explanation: `the relay ${host.name} has no address`,
    isInDoubt: false,
  };
  for (const ip of found.addresses) {
    const opened = await openSession(
      { name: host.name, ip, port: host.port },
      {
        egress: { id: "relay", ehloName },
        timeouts,
        tls: tls === "required" ? "demanded" : "none",
        checkPeer: (socket) => peerProblem(socket, host.name),
        authorities,
        credentials,
        signal,
      },
    );
    if (!("kind" in opened)) return opened;
    failure = {
      ...failure,
      reason: opened.reason,
      explanation: opened.explanation,
      ...(opened.reply === undefined ? {} : { reply: opened.reply }),
    };
    // Another address of the same relay knows no other passwords.
    if (opened.step !== "connect") break;
  }
  return { failure, isRestful: true };
}

/** What keeps the password from being told to this server; `undefined` when it is who it says. */
function peerProblem(socket: TLSSocket, name: string): string | undefined {
  if (!socket.authorized) return `its certificate is not trusted: ${String(socket.authorizationError)}`;
  return checkServerIdentity(name, socket.getPeerCertificate())?.message;
}
