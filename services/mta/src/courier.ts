import type { Conversation, Reply } from "@tyto/contracts";
import type { Hold, MailOf } from "./attempt.ts";
import type { Host } from "./mx.ts";
import { type Failed, failure } from "./outcome.ts";
import type { Lease, Pool, Want } from "./pool/pool.ts";
import type { Mail } from "./smtp.ts";
import { type Demand, refusalOf } from "./tls/demand.ts";
import type { Followers } from "./together.ts";
import type { Sent } from "./trouble.ts";

/** What came of taking one message to the mail servers of its recipient. */
export type Carried =
  | { kind: "accepted"; reply: Reply; conversation: Conversation }
  | { kind: "refused"; reply: Reply; conversation: Conversation }
  | Failed
  /** Nothing was tried: its turn at the site is far away, or the service stops. */
  | { kind: "wait"; untilMs: number; why: string; isBooked?: true }
  | { kind: "interrupted" };

export type CarryOptions = {
  /** How long the message waits for its turn at the site before `wait`. */
  siteWaitMs: number;
  signal: AbortSignal;
  hold: Hold;
  /** What a session to a host has to be for this message; nothing by default. */
  demandOf?: ((host: Host) => Promise<Demand>) | undefined;
  /** Messages that wait for what this one hears of its turn. */
  followers?: Pick<Followers, "count" | "admit">;
};

/** MX hosts tried in one attempt, and the time after which no further one is begun. */
const hostsTriedMax = 5;
const triesMsMax = 120_000;
/** Waiting connections that turn out to be closed, before the message counts as tried. */
const staleMax = 3;

/**
 * Tries the hosts in their order (RFC 5321 §5.1) until one of them answers the message. A host that cannot be reached,
 * or that does not begin or go on with a session, leaves the turn to the next; a refusal of the message does not, and
 * neither does a session that broke when the message may have arrived.
 */
export async function carry(
  mailOf: MailOf,
  hosts: readonly Host[],
  want: Want,
  pool: Pool<Failed>,
  options: CarryOptions,
): Promise<Carried> {
  const untilMs = performance.now() + triesMsMax;
  let failed: Failed | undefined;
  let hasLeave = false;
  for (const host of hosts.slice(0, hostsTriedMax)) {
    if (performance.now() > untilMs) break;
    const demand = await options.demandOf?.(host);
    const refusal = refused(host, demand);
    const result =
      refusal ??
      (await tryHost(mailOf, { ...host, ...(demand && { demand }) }, want, pool, options, hasLeave));
    if (result.kind === "wait" && failed !== undefined) break;
    // The site gives leave once for a message, whatever host takes it in the end.
    hasLeave ||= refusal === undefined;
    if (result.kind !== "failed" || result.isInDoubt) return result;
    // One host that may answer later outweighs any number that never will.
    if (failed === undefined || (failed.isPermanent && !result.isPermanent)) failed = result;
  }
  return failed ?? failure("network.dns", "there is no mail server to try");
}

/** Some demands cannot be met by this host, whoever connects. */
function refused({ name }: Host, demand: Demand | undefined): Failed | undefined {
  const refusal = demand && refusalOf(demand);
  if (refusal === undefined) return undefined;
  return {
    ...failure("network.tls", `no mail to ${name}: ${refusal.why}`),
    isPermanent: refusal.isPermanent,
  };
}

async function tryHost(
  mailOf: MailOf,
  host: Host,
  want: Want,
  pool: Pool<Failed>,
  { siteWaitMs, signal, hold, followers }: CarryOptions,
  hasLeave: boolean,
): Promise<Carried> {
  const startedMs = performance.now();
  for (let stale = 0; ; stale++) {
    const lease = await pool.acquire(host, want, {
      fresh: stale > 0,
      hasLeave: hasLeave || stale > 0,
      waitMs: siteWaitMs,
      signal,
      followers,
    });
    // Sessions that turned out to be closed have taken the message's leave already: it failed here, it was not refused a turn.
    if (lease.kind === "wait" && stale > 0)
      return failure("receiver.busy", `${host.name} closed its sessions`);
    if (lease.kind !== "lease") return lease;
    const sent = await use(lease, mailOf, signal, hold);
    // The server closed the waiting connection before it heard of this message: that says nothing about the message.
    if (stale < staleMax && isStale(lease, sent)) continue;
    return carried(sent, lease, startedMs);
  }
}

/** A session that got an answer is held until the answer is stored; any other is given back at once. */
async function use(lease: Lease, mailOf: MailOf, signal: AbortSignal, hold: Hold): Promise<Sent> {
  let mail: Mail | undefined;
  let sent: Sent | undefined;
  try {
    mail = await mailOf();
    sent = await lease.session.send(mail, signal);
    return sent;
  } finally {
    // A message that could not be made says nothing about the session.
    const state = mail === undefined ? "ready" : releaseState(sent);
    if (sent?.kind === "accepted" || sent?.kind === "refused") {
      lease.rest();
      hold(() => lease.release(state));
    } else lease.release(state);
  }
}

function releaseState(sent: Sent | undefined): "ready" | "dirty" | "broken" {
  if (sent?.kind === "accepted" || sent?.kind === "unfit") return "ready";
  return sent?.kind === "refused" ? "dirty" : "broken";
}

const isStale = (lease: Lease, sent: Sent) => lease.isReused && sent.kind === "trouble" && sent.isHungUp;

function carried(sent: Sent, { session, isReused }: Lease, startedMs: number): Carried {
  const conversation: Conversation = {
    mx: session.endpoint.name,
    ip: session.endpoint.ip,
    ...(session.localIp === undefined ? {} : { localIp: session.localIp }),
    tls: session.tls,
    reused: isReused,
    durationMs: Math.round(performance.now() - startedMs),
    ...session.timings,
  };
  switch (sent.kind) {
    case "accepted":
    case "refused":
      return { kind: sent.kind, reply: sent.reply, conversation };
    case "interrupted":
      return sent;
    case "unfit":
      return { ...failure(sent.reason, sent.explanation), isPermanent: true, conversation };
    case "trouble":
      return {
        ...failure(sent.reason, sent.explanation),
        isInDoubt: sent.isInDoubt,
        conversation,
        ...(sent.reply === undefined ? {} : { reply: sent.reply }),
      };
  }
}
