import { isIP } from "node:net";
import { phrase, portCheck } from "@tyto/contracts";
import { BoundedMap, type Log } from "@tyto/service";
import type { Check } from "./watch.ts";

/** What came of asking one server, straight from an address of ours. */
export type Tried = {
  egress: string;
  site: string;
  /** The site is a large provider's. */
  provider?: string | undefined;
  ip: string;
  port: number;
  /** It spoke to us, or why there was no connection. What is neither, such as silence after it, is not told here. */
  came: { kind: "answer" } | { kind: "nothing"; why: string };
};

/** An address of ours to which no server answers at the mail port: whose sites wait for that, and why, in words. */
export type Closed = { egress: string; sites: ReadonlySet<string>; why: string };

/** So many different sites are not all out of order at once. */
const sitesMin = 3;
/** Large providers always answer somewhere: with this many of one's servers silent it is us. */
const providerServersMin = 2;
/** Servers that are remembered of each address of ours; enough to tell its sites apart. */
const serversMax = 1_000;

type Server = { site: string; isProvider: boolean };
type Reached = {
  hasAnswered: boolean;
  isTold: boolean;
  atMs: number;
  why: string;
  /** That did not answer, by IP address. */
  silent: BoundedMap<string, Server>;
};

/**
 * Whether mail servers can be reached from our addresses at all. Most clouds and homes block outgoing port 25, and then
 * every site looks out of order. One answer since the start proves the contrary, and is enough for ever.
 */
export class Reach {
  readonly #smtpPort: number;
  readonly #log: Pick<Log, "warn">;
  readonly #now: () => number;
  readonly #byEgress = new Map<string, Reached>();

  /** Other ports than `smtpPort` say nothing about it. */
  constructor(smtpPort: number, log: Pick<Log, "warn">, now: () => number) {
    this.#smtpPort = smtpPort;
    this.#log = log;
    this.#now = now;
  }

  see({ egress, site, provider, ip, port, came }: Tried): void {
    if (port !== this.#smtpPort) return;
    const known = this.#of(egress);
    if (known.hasAnswered) return;
    if (came.kind === "answer") {
      known.hasAnswered = true;
      known.atMs = this.#now();
      known.silent.clear();
      return;
    }
    if (isLackOfIpv6(ip, came.why)) return;
    known.silent.set(ip, { site, isProvider: provider !== undefined });
    known.why = came.why;
    known.atMs = this.#now();
    if (known.isTold || !isClosed(known)) return;
    known.isTold = true;
    this.#log.warn("mta.port-25-closed", { egress, why: wordsOf(egress, known) });
  }

  /** The addresses of ours that reach nobody. */
  closed(): Closed[] {
    return [...this.#byEgress].flatMap(([egress, known]) =>
      isClosed(known)
        ? {
            egress,
            sites: new Set(Array.from(known.silent.values(), ({ site }) => site)),
            why: wordsOf(egress, known),
          }
        : [],
    );
  }

  /** What is known of an address, among its other checks; nothing before there is evidence. */
  checksOf(egress: string): Check[] {
    const known = this.#byEgress.get(egress);
    if (known === undefined) return [];
    const check = { name: portCheck, checkedAtMs: known.atMs };
    if (known.hasAnswered) return [{ ...check, ok: true, say: phrase("check.port-open", {}) }];
    return isClosed(known) ? [{ ...check, ok: false, say: wordsOf(egress, known) }] : [];
  }

  #of(egress: string): Reached {
    const known = this.#byEgress.get(egress) ?? {
      ...{ hasAnswered: false, isTold: false, atMs: this.#now(), why: "" },
      silent: new BoundedMap<string, Server>(serversMax),
    };
    this.#byEgress.set(egress, known);
    return known;
  }
}

/** A machine without IPv6 says so at once, and nothing about the port. */
const isLackOfIpv6 = (ip: string, why: string) =>
  isIP(ip) === 6 && /^(ENETUNREACH|EHOSTUNREACH|EADDRNOTAVAIL|EAFNOSUPPORT)$/.test(why);

function isClosed({ hasAnswered, silent }: Reached): boolean {
  if (hasAnswered) return false;
  const servers = [...silent.values()];
  const bySite = Map.groupBy(servers, ({ site }) => site);
  return (
    bySite.size >= sitesMin ||
    [...bySite.values()].some((of) => of.length >= providerServersMin && of[0]?.isProvider)
  );
}

const wordsOf = (egress: string, { silent, why }: Reached) =>
  phrase("port.closed", { egress, count: silent.size, why: plainly[why] ?? why });

/** A system's codes, in words. */
const plainly: Readonly<Record<string, string>> = {
  ECONNREFUSED: "connection refused",
  ECONNRESET: "connection reset",
  ETIMEDOUT: "no answer",
  ENETUNREACH: "no route to the network",
  EHOSTUNREACH: "no route to the host",
  EACCES: "not permitted by this machine",
  EPERM: "not permitted by this machine",
};
