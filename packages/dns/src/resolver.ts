import { randomInt } from "node:crypto";
import { places } from "@tyto/bounds";
import { TtlCache } from "./cache.ts";
import { DnsError } from "./errors.ts";
import { askTcp, askUdp } from "./exchange.ts";
import { reverseName, wireName } from "./name.ts";
import { encodeQuestion } from "./packet.ts";
import type { Answer, RecordType } from "./records.ts";
import { isOnThisMachine, type Server } from "./servers.ts";

export type ResolverOptions = {
  /** Recursive resolvers, asked in this order. */
  servers: readonly Server[];
  /**
   * The servers validate by DNSSEC, and nobody can change their answers on the way: only then is `authenticated` told. By
   * default that is believed of a resolver on this machine (`isOnThisMachine`) and of no other.
   */
  validates?: boolean | undefined;
  /** For one try at one server. */
  timeoutMs?: number;
  /** Over all servers; the longest wait is `triesMax × timeoutMs`, twice that when TCP is needed. */
  triesMax?: number;
  cacheEntriesMax?: number;
  /** Questions on their way at the same time; more wait for a place. */
  inFlightMax?: number;
  now?: () => number;
};

/** `fresh` goes to the servers whatever the cache holds, and puts the result into it. */
export type QueryOptions = { fresh?: boolean };

/**
 * A stub resolver with a cache. "No such name" and "no such record" are answers; everything that leaves the question
 * open throws DnsError. Failures are remembered for `failureTtlMs` (RFC 9520 §3.2).
 */
export type Resolver = {
  query<T extends RecordType>(name: string, type: T, options?: QueryOptions): Promise<Answer<T>>;
  mx(name: string, options?: QueryOptions): Promise<Answer<"MX">>;
  a(name: string, options?: QueryOptions): Promise<Answer<"A">>;
  aaaa(name: string, options?: QueryOptions): Promise<Answer<"AAAA">>;
  /** The texts of the TXT records, each with its character-strings joined (RFC 7208 §3.3, RFC 6376 §3.6.2.2). */
  txt(name: string, options?: QueryOptions): Promise<Omit<Answer<"TXT">, "records"> & { records: string[] }>;
  /** Host names of an IP address. */
  ptr(ip: string, options?: QueryOptions): Promise<Answer<"PTR">>;
  /** For example `_25._tcp.mx.example.com`. */
  tlsa(name: string, options?: QueryOptions): Promise<Answer<"TLSA">>;
};

const failureTtlMs = 1_000;

type Outcome = { answer: Answer<RecordType> } | { error: DnsError };

/** Throws TypeError without a server. */
export function createResolver({
  servers,
  validates,
  timeoutMs = 2_500,
  triesMax = 4,
  cacheEntriesMax = 20_000,
  inFlightMax = 500,
  now = Date.now,
}: ResolverOptions): Resolver {
  if (servers.length === 0) throw new TypeError("a resolver needs at least one DNS server");
  const cache = new TtlCache<Outcome>(cacheEntriesMax, now);
  const flights = new Map<string, Promise<Outcome>>();
  const inFlight = places(inFlightMax);

  async function query<T extends RecordType>(
    name: string,
    type: T,
    { fresh = false }: QueryOptions = {},
  ): Promise<Answer<T>> {
    const asked = wireName(name);
    const key = `${type} ${asked}`;
    const known = fresh ? undefined : cache.get(key);
    if (known !== undefined) return unwrap<T>(known.value, Math.floor(known.leftMs / 1_000));

    // Askers of the same thing share one question; a fresh one never joins a question asked before it.
    const flight = fresh ? `fresh ${key}` : key;
    let running = flights.get(flight);
    if (running === undefined) {
      running = resolveInTurn(asked, type)
        .then((outcome) => {
          cache.set(key, outcome, "answer" in outcome ? outcome.answer.ttlS * 1_000 : failureTtlMs);
          return outcome;
        })
        .finally(() => flights.delete(flight));
      flights.set(flight, running);
    }
    return unwrap<T>(await running);
  }

  /** The AD bit of a resolver far away can be set by anybody on the way (RFC 6840 §5.8). */
  const believed = (answer: Answer<RecordType>, server: Server) => ({
    ...answer,
    authenticated: answer.authenticated && (validates ?? isOnThisMachine(server)),
  });

  async function resolveInTurn(name: string, type: RecordType): Promise<Outcome> {
    const leave = await inFlight.take();
    try {
      return await resolve(name, type);
    } finally {
      leave();
    }
  }

  async function resolve(name: string, type: RecordType): Promise<Outcome> {
    let edns = true;
    let error = new DnsError("timeout", `no server was asked for ${type} ${name}`);
    for (let attempt = 0; attempt < triesMax; attempt++) {
      const server = servers[attempt % servers.length];
      if (server === undefined) break;
      const question = { id: randomInt(65_536), name, type };
      const bytes = encodeQuestion(question, edns);
      try {
        let response = await askUdp(server, question, bytes, timeoutMs);
        if (response.kind === "truncated") response = await askTcp(server, question, bytes, timeoutMs);
        if (response.kind === "answer") return { answer: believed(response.answer, server) };
        if (response.kind === "failure") {
          error = new DnsError("refused", `${response.rcode} for ${type} ${name}`);
          if (response.withoutEdns) edns = false;
        }
      } catch (thrown) {
        if (!(thrown instanceof DnsError)) throw thrown;
        error = thrown;
      }
    }
    return { error };
  }

  return {
    query,
    mx: (name, options) => query(name, "MX", options),
    a: (name, options) => query(name, "A", options),
    aaaa: (name, options) => query(name, "AAAA", options),
    async txt(name, options) {
      const answer = await query(name, "TXT", options);
      return { ...answer, records: answer.records.map((strings) => strings.join("")) };
    },
    ptr: async (ip, options) => query(reverseName(ip), "PTR", options),
    tlsa: (name, options) => query(name, "TLSA", options),
  };
}

function unwrap<T extends RecordType>(outcome: Outcome, ttlS?: number): Answer<T> {
  if ("error" in outcome) throw outcome.error;
  // The cache key holds the type, so the answer has it.
  const answer = outcome.answer as Answer<T>;
  return ttlS === undefined ? answer : { ...answer, ttlS };
}
