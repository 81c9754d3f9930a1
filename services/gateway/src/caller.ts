/** Who asks: an API key, or a person signed in to the dashboard. */
import { Failure, type Scope, scopes } from "@tyto/contracts";

export type Caller = {
  kind: "key" | "person";
  /** Counts requests and keeps Idempotency-Keys of different callers apart. */
  id: string;
  /** Who it is, for people who find what they did: an email address or a key's name, without spaces. */
  name: string;
  scopes: readonly Scope[];
  /** The request as part of a trace (W3C Trace Context), when traces are on. */
  traceparent?: string | undefined;
};

export type CallerPorts = {
  /** The caller of an API key, if it is known. */
  ofKey(key: string): Promise<Caller | undefined>;
  /** The signed-in person of the request's cookies, if any. */
  ofCookies(headers: Headers): Promise<{ id: string; email: string } | undefined>;
  isOwnOrigin(request: Request): boolean;
};

const bearer = /^Bearer +(\S+) *$/i;

/**
 * Names the caller of a request to /v1. Throws Failure `request.unauthenticated`, or `request.forbidden` for a write that
 * another site's page started with a person's cookies.
 */
export async function identify(request: Request, ports: CallerPorts): Promise<Caller> {
  const authorization = request.headers.get("authorization");
  if (authorization !== null) {
    const caller = await ports.ofKey(bearer.exec(authorization)?.[1] ?? "");
    if (caller === undefined)
      throw new Failure("request.unauthenticated", "unknown API key", {
        hint: "The API key is not known; it may have been removed",
      });
    return caller;
  }
  const person = request.headers.has("cookie") ? await ports.ofCookies(request.headers) : undefined;
  if (person === undefined)
    throw new Failure("request.unauthenticated", "no API key and no session", {
      hint: "Send an API key: Authorization: Bearer tyto_…",
    });
  if (isWrite(request) && !ports.isOwnOrigin(request)) throw foreignOrigin();
  return { kind: "person", id: `user_${person.id}`, name: wordOf(person.email), scopes: [...scopes] };
}

const nameCharsMax = 100;
/** As one word, which is what stands in a sentence such as "held by ann@example.com". */
export const wordOf = (name: string): string => name.trim().replace(/\s+/g, "-").slice(0, nameCharsMax);

export const isWrite = ({ method }: Request) => method !== "GET" && method !== "HEAD";

export const foreignOrigin = () =>
  new Failure("request.forbidden", "a write with cookies from another origin", {
    hint: "Requests with a session must come from the dashboard's own pages",
  });

/** Throws Failure `request.forbidden` naming the scope that is missing. */
export function allow(caller: Caller, scope: Scope): void {
  if (caller.scopes.includes(scope) || caller.scopes.includes("admin")) return;
  throw new Failure("request.forbidden", `${caller.id} lacks ${scope}`, {
    hint: `The API key needs the scope ${scope}`,
  });
}

/**
 * True if the request's page was served from here: its Origin is the configured site, or has the host that the request
 * was sent to. A browser sets both headers itself; a write without an Origin does not come from one of our pages.
 */
export function isOwnOrigin(request: Request, siteUrl: string): boolean {
  const origin = request.headers.get("origin");
  if (origin === null || !URL.canParse(origin)) return false;
  const { host, origin: normalized } = new URL(origin);
  return normalized === new URL(siteUrl).origin || host === new URL(request.url).host;
}
