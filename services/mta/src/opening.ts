import type { Resolver } from "@tyto/dns";
import { findAddresses, type Host } from "./mx.ts";
import type { Failed } from "./outcome.ts";
import { openSession, type Session, type Timeouts, type TlsLevel } from "./smtp.ts";

/** The time after which no further address of a host is tried. */
const triesMsMax = 120_000;

export type HostOptions = {
  resolver: Resolver;
  ehloName: string;
  timeouts: Timeouts;
  allowPrivate: boolean;
};

/**
 * Opens a session to one of a host's addresses. Encryption is tried in falling order, each level on a new connection:
 * after a failed handshake a server that never offered TLS would have been served in the clear too (RFC 7435 §3).
 */
export async function openHost(
  host: Host,
  { resolver, ehloName, timeouts, allowPrivate }: HostOptions,
  signal: AbortSignal | undefined,
): Promise<Session | { failure: Failed; isRestful: boolean }> {
  const found = await findAddresses(host, resolver, allowPrivate);
  if (found.kind === "none")
    return { failure: { ...found, kind: "failed", isInDoubt: false }, isRestful: false };

  let last = failure("network.unreachable", `${host.name} has no address`);
  let isRestful = false;
  const untilMs = performance.now() + triesMsMax;
  for (const ip of found.addresses) {
    if (performance.now() > untilMs || signal?.aborted) break;
    const endpoint = { name: host.name, ip, port: host.port };
    let tls: TlsLevel | undefined = "modern";
    while (tls !== undefined) {
      const opened = await openSession(endpoint, { ehloName, timeouts, tls, signal });
      if (!("kind" in opened)) return opened;
      last = {
        ...failure(opened.reason, opened.explanation),
        // A refused greeting is about the host at this moment, even when it says 5xx; 521 alone is for good (RFC 7504 §3).
        isPermanent: opened.reply?.code === 521,
        ...(opened.reply === undefined ? {} : { reply: opened.reply }),
      };
      isRestful = opened.step === "connect";
      tls = opened.step === "tls" ? lower(tls, opened.isTlsTooOld) : undefined;
    }
  }
  return { failure: last, isRestful };
}

function lower(level: TlsLevel, isTlsTooOld: boolean): TlsLevel | undefined {
  if (level === "none") return undefined;
  return level === "modern" && isTlsTooOld ? "legacy" : "none";
}

const failure = (reason: Failed["reason"], explanation: string): Failed => ({
  kind: "failed",
  isPermanent: false,
  reason,
  explanation,
  isInDoubt: false,
});
