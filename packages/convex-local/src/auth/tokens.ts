import { decodeJwt, type JWTPayload, errors as joseErrors, jwtVerify } from "jose";
import { UserError } from "../functions/errors.ts";
import type { Json } from "../values/wire.ts";
import { type Identity, identityFrom } from "./identity.ts";
import { FETCH_PAUSE_MS, ProviderKeys } from "./keys.ts";
import { isCustomJwt, issuerOf, type Provider, withoutSlash } from "./providers.ts";

/** Who a token stands for, and until when. */
export type Verified = { identity: Identity; expiresMs: number };

const VERIFIED_MAX = 1000;
const OPENID_ALGORITHMS = ["RS256", "ES256", "EdDSA"];
const TOKEN_CHARS_MAX = 16_384;
/** A token may be from a clock that is ahead of ours by this. Its end is taken exactly. */
const CLOCK_SKEW_SECONDS = 5;

/** Checks JSON Web Tokens against the providers of `auth.config.ts` (RFC 7519, OpenID Connect Discovery). */
export class Tokens {
  readonly #now: () => number;
  #providers: readonly Provider[] = [];
  readonly #keys: ProviderKeys;
  /** Verifying costs a signature check; the same token comes with every request of a client. */
  #verified = new Map<string, Verified>();

  /** `fetchPauseMs`: how often keys are fetched at most. */
  constructor(now: () => number, fetchPauseMs: number = FETCH_PAUSE_MS) {
    this.#now = now;
    this.#keys = new ProviderKeys(now, fetchPauseMs);
  }

  get providers(): readonly Provider[] {
    return this.#providers;
  }

  setProviders(providers: readonly Provider[]): void {
    this.#providers = providers;
    this.#keys.clear();
    this.#verified.clear();
  }

  /** Throws UserError `InvalidToken` when no provider vouches for the token. */
  async verify(token: string): Promise<Verified> {
    const known = this.#verified.get(token);
    if (known !== undefined && known.expiresMs > this.#now()) return known;
    if (token.length > TOKEN_CHARS_MAX) throw invalid("the token is too long");

    const claims = decode(token);
    const reasons: string[] = [];
    for (const provider of this.#providers) {
      if (withoutSlash(issuerOf(provider)) !== withoutSlash(claims.iss ?? "")) continue;
      if (!isForAudience(provider, claims.aud)) {
        reasons.push(`the token is not for ${provider.applicationID}`);
        continue;
      }
      const verified = await this.#verifyWith(provider, token).catch((error: unknown) => {
        reasons.push(reasonOf(error));
        return undefined;
      });
      if (verified !== undefined) return this.#remember(token, verified);
    }
    throw invalid(reasons[0] ?? `no auth provider has the issuer ${JSON.stringify(claims.iss ?? null)}`);
  }

  async #verifyWith(provider: Provider, token: string): Promise<Verified> {
    const { payload } = await jwtVerify(token, await this.#keys.of(provider), {
      algorithms: isCustomJwt(provider) ? [provider.algorithm] : OPENID_ALGORITHMS,
      currentDate: new Date(this.#now()),
      clockTolerance: CLOCK_SKEW_SECONDS,
      requiredClaims: ["sub", "iat", "exp"],
    });
    const nowSeconds = this.#now() / 1000;
    if ((payload.exp ?? 0) <= nowSeconds)
      throw new joseErrors.JWTExpired('"exp" claim is in the past', payload);
    if ((payload.iat ?? 0) > nowSeconds + CLOCK_SKEW_SECONDS) {
      throw new joseErrors.JWTClaimValidationFailed('"iat" claim is in the future', payload, "iat");
    }
    const issuer = payload.iss ?? "";
    const identity = identityFrom(issuer, payload.sub ?? "", payload as Record<string, Json | undefined>);
    return { identity, expiresMs: (payload.exp ?? 0) * 1000 };
  }

  #remember(token: string, verified: Verified): Verified {
    if (this.#verified.size >= VERIFIED_MAX) {
      const [oldest] = this.#verified.keys();
      if (oldest !== undefined) this.#verified.delete(oldest);
    }
    this.#verified.set(token, verified);
    return verified;
  }
}

function decode(token: string): JWTPayload {
  try {
    return decodeJwt(token);
  } catch (error) {
    throw invalid(reasonOf(error));
  }
}

/** A customJwt provider without applicationID takes tokens for any audience. */
function isForAudience(provider: Provider, audience: JWTPayload["aud"]): boolean {
  if (provider.applicationID === null || provider.applicationID === undefined) return true;
  return Array.isArray(audience)
    ? audience.includes(provider.applicationID)
    : audience === provider.applicationID;
}

const reasonOf = (error: unknown) =>
  error instanceof joseErrors.JOSEError || error instanceof Error ? error.message : String(error);

const invalid = (reason: string) => new UserError("InvalidToken", `Could not verify the token: ${reason}`);
