import {
  createLocalJWKSet,
  createRemoteJWKSet,
  type JSONWebKeySet,
  type JWTVerifyGetKey,
  errors as joseErrors,
} from "jose";
import { z } from "zod";
import { isCustomJwt, issuerOf, type Provider, withoutSlash } from "./providers.ts";

const FETCH_MS_MAX = 10_000;
const DOCUMENT_BYTES_MAX = 1024 * 1024;
/** Keys are fetched again after this, and when a token names one that is not there. */
const KEYS_AGE_MS_MAX = 10 * 60_000;
/** Where a provider keeps its keys is asked again after this. */
const DISCOVERY_AGE_MS_MAX = 60 * 60_000;
/** Tokens with invented key ids, and providers that are down, cause at most one fetch in this time. */
export const FETCH_PAUSE_MS = 1000;

const Discovery = z.object({ issuer: z.string(), jwks_uri: z.url() });

type Cached = { keys: Promise<JWTVerifyGetKey>; sinceMs: number; hasFailed: boolean };

/** The public keys of providers: given in a data: URI, behind a URL, or found by OpenID Connect Discovery 1.0. */
export class ProviderKeys {
  readonly #now: () => number;
  readonly #fetchPauseMs: number;
  readonly #cached = new Map<Provider, Cached>();

  constructor(now: () => number, fetchPauseMs: number) {
    this.#now = now;
    this.#fetchPauseMs = fetchPauseMs;
  }

  clear(): void {
    this.#cached.clear();
  }

  /** Rejects with what went wrong when the provider cannot be asked. */
  of(provider: Provider): Promise<JWTVerifyGetKey> {
    const known = this.#cached.get(provider);
    const ageMs = this.#now() - (known?.sinceMs ?? 0);
    if (known !== undefined && ageMs < (known.hasFailed ? this.#fetchPauseMs : DISCOVERY_AGE_MS_MAX)) {
      return known.keys;
    }
    const cached: Cached = {
      keys: load(provider, this.#fetchPauseMs),
      sinceMs: this.#now(),
      hasFailed: false,
    };
    this.#cached.set(provider, cached);
    // Whoever asked has the error; the provider is asked again after a pause.
    cached.keys.catch(() => {
      cached.hasFailed = true;
      cached.sinceMs = this.#now();
    });
    return cached.keys;
  }
}

async function load(provider: Provider, fetchPauseMs: number): Promise<JWTVerifyGetKey> {
  if (!isCustomJwt(provider)) {
    const { jwks_uri } = await discover(withoutSlash(issuerOf(provider)));
    return remote(jwks_uri, fetchPauseMs);
  }
  if (!provider.jwks.startsWith("data:")) return remote(provider.jwks, fetchPauseMs);
  const response = await fetch(provider.jwks);
  return tolerant(createLocalJWKSet((await response.json()) as JSONWebKeySet));
}

const remote = (url: string, fetchPauseMs: number): JWTVerifyGetKey =>
  tolerant(
    createRemoteJWKSet(new URL(url), {
      timeoutDuration: FETCH_MS_MAX,
      cooldownDuration: fetchPauseMs,
      cacheMaxAge: KEYS_AGE_MS_MAX,
    }),
  );

/** A token without a key id is tried with the first key that fits its algorithm. */
function tolerant(keys: JWTVerifyGetKey): JWTVerifyGetKey {
  return async (header, token) => {
    try {
      return await keys(header, token);
    } catch (error) {
      if (!(error instanceof joseErrors.JWKSMultipleMatchingKeys)) throw error;
      for await (const key of error) return key;
      throw error;
    }
  };
}

async function discover(issuer: string): Promise<z.infer<typeof Discovery>> {
  const response = await fetch(`${issuer}/.well-known/openid-configuration`, {
    signal: AbortSignal.timeout(FETCH_MS_MAX),
    headers: { accept: "application/json" },
  });
  if (!response.ok) throw new Error(`OpenID discovery of ${issuer} answered ${response.status}`);
  const parsed = Discovery.safeParse(JSON.parse(await textOf(response)));
  if (!parsed.success) throw new Error(`OpenID discovery of ${issuer}: ${z.prettifyError(parsed.error)}`);
  // §4.3: otherwise one provider could speak for another.
  if (withoutSlash(parsed.data.issuer) !== issuer) {
    throw new Error(`OpenID discovery of ${issuer} is about ${parsed.data.issuer}`);
  }
  return parsed.data;
}

async function textOf(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > DOCUMENT_BYTES_MAX) throw new Error("The provider's answer is too long");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}
