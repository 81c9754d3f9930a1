import type { SMTPServerDataStream, SMTPServerSession } from "smtp-server";
import type { SMTPConnection } from "smtp-server/lib/smtp-connection.js";
import type { Admitted } from "../recipients.ts";
import type { Phase } from "./phases.ts";

/** What we remember of a connection. */
export type Session = {
  connection: SMTPConnection;
  /** Recipients that the current transaction has been promised. */
  admitted: Map<string, Admitted>;
  beganAtMs: number;
  phase: Phase;
  /** The message on its way. */
  stream?: SMTPServerDataStream;
  refusals: number;
  errors: number;
  repliesWithoutMessage: number;
};

/** The open connections, and how many of them each network has. */
export class Sessions {
  readonly #now: () => number;
  readonly #sessions = new Map<SMTPServerSession, Session>();
  readonly #perNetwork = new Map<string, number>();

  constructor(now: () => number) {
    this.#now = now;
  }

  /** Tells how many connections the network has now. */
  begin(key: SMTPServerSession, connection: SMTPConnection): number {
    const nowMs = this.#now();
    const network = networkOf(key.remoteAddress);
    const open = (this.#perNetwork.get(network) ?? 0) + 1;
    this.#perNetwork.set(network, open);
    this.#sessions.set(key, {
      connection,
      admitted: new Map(),
      beganAtMs: nowMs,
      phase: { kind: "silent", sinceMs: nowMs },
      refusals: 0,
      errors: 0,
      repliesWithoutMessage: 0,
    });
    return open;
  }

  of(key: SMTPServerSession): Session | undefined {
    return this.#sessions.get(key);
  }

  all(): Iterable<Session> {
    return this.#sessions.values();
  }

  /** Harmless for a connection that ended before it was counted, or was ended already. */
  end(key: SMTPServerSession): void {
    const session = this.#sessions.get(key);
    if (session === undefined) return;
    this.#sessions.delete(key);
    const network = networkOf(session.connection.remoteAddress);
    const left = (this.#perNetwork.get(network) ?? 1) - 1;
    if (left <= 0) this.#perNetwork.delete(network);
    else this.#perNetwork.set(network, left);
  }
}

/** One address, or the /64 that one IPv6 customer has (RFC 6177); smtp-server writes IPv4 without its mapped prefix. */
export function networkOf(ip: string): string {
  if (!ip.includes(":")) return ip;
  const [front = "", back] = ip.split("::");
  const [head, tail] = [front, back ?? ""].map((part) => part.split(":").filter((group) => group !== ""));
  const zeros = back === undefined ? 0 : 8 - (head?.length ?? 0) - (tail?.length ?? 0);
  return [...(head ?? []), ...Array<string>(Math.max(0, zeros)).fill("0"), ...(tail ?? [])]
    .slice(0, 4)
    .join(":");
}
