import { isIP } from "node:net";
import type { Conversation } from "@tyto/contracts";
import type { Resolver } from "@tyto/dns";
import type { Tried } from "./egress/reach.ts";
import type { Egress } from "./egress.ts";
import { findAddresses, type Host } from "./mx.ts";
import { type Failed, failure } from "./outcome.ts";
import { openSession, type Session, type Timeouts, type TlsLevel } from "./smtp.ts";
import {
  breachOf,
  type Clause,
  type Demand,
  type Encryption,
  type Finding,
  isTlsDemanded,
  judge,
} from "./tls/demand.ts";
import type { OpenedSession } from "./tls/outcomes.ts";
import { peerOf } from "./tls/peer.ts";
import type { Trouble } from "./trouble.ts";
import type { Transcript } from "./wire/transcript.ts";

/** The time after which no further address of a host is tried. */
const triesMsMax = 120_000;

export type HostOptions = {
  resolver: Resolver;
  egress: Egress;
  timeouts: Timeouts;
  allowPrivate: boolean;
  /** Certificates of authorities, PEM, trusted besides those that come with Bun. */
  authorities?: readonly string[];
  /** Is told what came of each address that was asked straight from ours. */
  tried?(ip: string, came: Tried["came"]): void;
  /** Is told of every session that was opened, or given up because of its encryption. */
  see?(demand: Demand, session: OpenedSession): void;
  /** Who follows a session with this party. */
  transcript?(party: { host: string; ip: string; egress: string }): Transcript;
};

/**
 * Opens a session to one of a host's addresses. Encryption is tried in falling order, each level on a new connection:
 * after a failed handshake a server that never offered TLS would have been served in the clear too (RFC 7435 §3). Where the
 * host's `demand` wants encryption, it is that or nothing.
 */
export async function openHost(
  host: Host,
  options: HostOptions,
  signal: AbortSignal | undefined,
): Promise<Session | { failure: Failed; isRestful: boolean }> {
  const { resolver, allowPrivate, egress } = options;
  const found = await findAddresses(host, resolver, allowPrivate, familyOf(egress));
  if (found.kind === "none")
    return { failure: { ...found, kind: "failed", isInDoubt: false }, isRestful: false };

  let last: { failure: Failed; isRestful: boolean } = {
    failure: failure("network.unreachable", `${host.name} has no address`),
    isRestful: false,
  };
  const untilMs = performance.now() + triesMsMax;
  for (const ip of found.addresses) {
    if (performance.now() > untilMs || signal?.aborted) break;
    const opened = await openAddress(host, ip, options, signal);
    if (!("failure" in opened)) return opened;
    last = opened;
  }
  return last;
}

/** An address reaches addresses of its own family only; a proxy has its own ways. */
function familyOf({ localIp, proxy }: Egress): 4 | 6 | undefined {
  if (localIp === undefined || proxy !== undefined) return undefined;
  return isIP(localIp) === 6 ? 6 : 4;
}

async function openAddress(
  host: Host,
  ip: string,
  { egress, timeouts, authorities, tried, see, transcript }: HostOptions,
  signal: AbortSignal | undefined,
): Promise<Session | { failure: Failed; isRestful: boolean }> {
  const { demand } = host;
  const endpoint = { name: host.name, ip, port: host.port };
  const isDemanded = demand !== undefined && isTlsDemanded(demand);
  const startedMs = performance.now();
  let level: TlsLevel = isDemanded ? "demanded" : "modern";
  let encryption: Encryption = { kind: "not-offered" };
  for (;;) {
    let findings: readonly Finding[] = [];
    const opened = await openSession(endpoint, {
      egress,
      timeouts,
      tls: level,
      serverName: demand?.serverName,
      authorities,
      transcript: transcript?.({ host: host.name, ip, egress: egress.id }),
      checkPeer(socket) {
        encryption = { kind: "peer", peer: undefined };
        if (demand === undefined || demand.clauses.length === 0) return undefined;
        encryption = { kind: "peer", peer: peerOf(socket) };
        findings = judge(demand, encryption, Date.now());
        return breachOf(findings)?.why;
      },
      signal,
    });
    const isOpen = !("kind" in opened);
    const came = isOpen ? answered : cameOf(opened);
    if (came !== undefined && egress.proxy === undefined && !signal?.aborted) tried?.(ip, came);
    if (!isOpen && opened.step === "tls" && opened.tlsFailure !== "peer") encryption = shortfallOf(opened);
    const next: TlsLevel | undefined =
      isOpen || opened.step !== "tls" ? undefined : lower(level, opened.isTlsTooOld);
    if (next !== undefined) {
      level = next;
      continue;
    }
    if (demand !== undefined && (isOpen || opened.step === "tls")) {
      if (encryption.kind !== "peer") findings = judge(demand, encryption, Date.now());
      see?.(demand, { encryption, findings, ip, ...(isOpen ? { localIp: opened.localIp } : {}) });
    }
    tell(opened.tls, findings);
    if (isOpen) return opened;
    const breached = opened.step === "tls" && isDemanded ? demand : undefined;
    const durationMs = Math.round(performance.now() - startedMs);
    return {
      failure: failureOf(opened, breached, { mx: host.name, ip, durationMs }),
      // A proxy or an address of ours that does not work says nothing about the host.
      isRestful: (opened.step === "connect" && opened.reason !== "local.trouble") || breached !== undefined,
    };
  }
}

/** Why there is no session. `breached`: the demand that it would not have kept. */
function failureOf(
  { reason, explanation, reply, tls }: Trouble,
  breached: Demand | undefined,
  about: Pick<Conversation, "mx" | "ip" | "durationMs">,
): Failed {
  return {
    ...failure(reason, breached === undefined ? explanation : `${explanation}; ${demanderOf(breached)}`),
    // A refused greeting is about the host at this moment, even when it says 5xx; 521 alone is for good (RFC 7504 §3).
    isPermanent: reply?.code === 521,
    ...(reply === undefined ? {} : { reply }),
    ...(tls === undefined ? {} : { conversation: { ...about, tls, reused: false } }),
  };
}

const answered = { kind: "answer" } as const;

/** Whether the server spoke; undefined where it did not and the reason may be ours, or the connection stood all the same. */
function cameOf({ step, reason, reply, why }: Trouble): Tried["came"] | undefined {
  if (step === "connect")
    return why === undefined || reason === "local.trouble" ? undefined : { kind: "nothing", why };
  return step !== "greeting" || reply !== undefined ? answered : undefined;
}

const shortfallOf = ({ tlsFailure, explanation }: Trouble): Encryption =>
  tlsFailure === "not-offered" ? { kind: "not-offered" } : { kind: "failed", why: explanation };

function lower(level: TlsLevel, isTlsTooOld: boolean): TlsLevel | undefined {
  if (level === "none" || level === "demanded") return undefined;
  return level === "modern" && isTlsTooOld ? "legacy" : "none";
}

const whyCharsMax = 300;

/** What each policy found goes into the event. */
function tell(tls: Conversation["tls"] | undefined, findings: readonly Finding[]): void {
  if (tls === null || tls === undefined || findings.length === 0) return;
  tls.policies = findings.map(({ policy, isEnforced, problem }) => ({
    policy,
    isEnforced,
    ...(problem === undefined ? {} : { result: problem.result, why: problem.why.slice(0, whyCharsMax) }),
  }));
}

const demanders: Record<Clause["policy"], (demand: Demand) => string> = {
  floor: ({ domain }) => `the setting MTA_TLS for ${domain}`,
  sts: ({ domain }) => `MTA-STS of ${domain}`,
  dane: ({ host }) => `DANE of ${host}`,
  "require-tls": () => "the message's REQUIRETLS",
};

/** Who does not let the message go in the clear, for people. */
function demanderOf(demand: Demand): string {
  const policies = new Set(
    demand.clauses
      .filter(({ isEnforced, needs }) => isEnforced && needs !== "nothing")
      .map(({ policy }) => policy),
  );
  const names = [...policies].map((policy) => demanders[policy](demand));
  return `${names.join(" and ")} ${names.length === 1 ? "demands" : "demand"} it`;
}
