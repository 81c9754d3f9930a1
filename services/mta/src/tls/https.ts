import { isIP, isIPv6 } from "node:net";
import { rootCertificates } from "node:tls";
import type { Resolver } from "@tyto/dns";
import { scopeOf } from "../mx.ts";

export type HttpsRequest = {
  method: "GET" | "POST";
  headers?: Record<string, string>;
  body?: Uint8Array;
  /** A longer answer is a failure. */
  answerBytesMax: number;
  /** For everything: connecting, asking and reading. */
  timeoutMs: number;
};
export type HttpsAnswer =
  | { kind: "answer"; status: number; mediaType: string; text: string }
  | { kind: "failed"; isCertificate: boolean; why: string };

export type HttpsOptions = {
  /** Addresses of a host that we may connect to; empty when there are none. Throws DnsError. */
  addressesOf(host: string): Promise<readonly string[]>;
  /** Certificates of authorities, PEM, trusted besides those that come with Bun. */
  authorities: readonly string[];
};

export type Https = (url: URL, request: HttpsRequest) => Promise<HttpsAnswer>;

const addressesMax = 3;

/** The addresses of a host that are on the public internet; all of them with `allowPrivate`. Throws DnsError. */
export async function reachableAddresses(
  host: string,
  resolver: Pick<Resolver, "a" | "aaaa">,
  allowPrivate: boolean,
): Promise<readonly string[]> {
  const bare = host.replace(/^\[|\]$/g, "");
  const found = isIP(bare) === 0 ? await lookUp(bare, resolver) : [bare];
  return allowPrivate ? found : found.filter((ip) => scopeOf(ip) === "public");
}

async function lookUp(host: string, resolver: Pick<Resolver, "a" | "aaaa">): Promise<readonly string[]> {
  const [v4, v6] = await Promise.allSettled([resolver.a(host), resolver.aaaa(host)]);
  const found = [v4, v6].flatMap((result) => (result.status === "fulfilled" ? result.value.records : []));
  const failed = [v4, v6].find((result) => result.status === "rejected");
  if (found.length === 0 && failed !== undefined) throw failed.reason;
  return found;
}

/**
 * One HTTPS request to a host of a stranger: bounded in time and bytes, no redirects, the certificate verified, and only to
 * addresses that the caller allows, so that nobody can have us talk to a machine behind our firewall.
 */
export const createHttps =
  ({ addressesOf, authorities }: HttpsOptions): Https =>
  async (url, request) => {
    if (url.protocol !== "https:") return failed(`${url.protocol}// is not https`);
    const signal = AbortSignal.timeout(request.timeoutMs);
    let last = failed(`${url.hostname} has no address that we may connect to`);
    let addresses: readonly string[];
    try {
      addresses = await addressesOf(url.hostname);
    } catch (error) {
      return failed(error instanceof Error ? error.message : String(error));
    }
    for (const ip of addresses.slice(0, addressesMax)) {
      last = await ask(url, ip, request, authorities, signal);
      if (last.kind === "answer" || last.isCertificate || signal.aborted) return last;
    }
    return last;
  };

async function ask(
  url: URL,
  ip: string,
  { method, headers, body, answerBytesMax, timeoutMs }: HttpsRequest,
  authorities: readonly string[],
  signal: AbortSignal,
): Promise<HttpsAnswer> {
  const target = new URL(url);
  target.hostname = isIPv6(ip) ? `[${ip}]` : ip;
  try {
    const answer = await fetch(target, {
      method,
      headers: { "user-agent": "Tyto", ...headers, host: url.host },
      ...(body === undefined ? {} : { body }),
      redirect: "manual",
      // A connection kept open would be used again for another host at the same address, whose certificate nobody saw.
      keepalive: false,
      signal,
      tls: {
        serverName: url.hostname,
        rejectUnauthorized: true,
        ...(authorities.length === 0 ? {} : { ca: [...rootCertificates, ...authorities] }),
      },
    } as BunFetchRequestInit);
    const text = await boundedText(answer, answerBytesMax);
    if (text === undefined) return failed(`${url.hostname} answered with more than ${answerBytesMax} bytes`);
    const mediaType = (answer.headers.get("content-type") ?? "").split(";")[0]?.trim().toLowerCase() ?? "";
    return { kind: "answer", status: answer.status, mediaType, text };
  } catch (thrown) {
    if (signal.aborted) return failed(`${url.hostname} did not answer within ${timeoutMs / 1_000} s`);
    const { code, message } = thrown as { code?: string; message?: string };
    const isCertificate = /CERT|SELF_SIGNED|ALTNAME|UNABLE_TO_|ISSUER/.test(code ?? "");
    return { kind: "failed", isCertificate, why: `${url.hostname} [${ip}]: ${code ?? message}` };
  }
}

async function boundedText(answer: Response, bytesMax: number): Promise<string | undefined> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of answer.body ?? []) {
    bytes += part.length;
    if (bytes > bytesMax) return undefined;
    parts.push(part);
  }
  return Buffer.concat(parts).toString("utf8");
}

const failed = (why: string): HttpsAnswer => ({ kind: "failed", isCertificate: false, why });
