/** Short-lived ES256 tokens that Convex checks against the public half of GATEWAY_JWT_KEY. */
import { importJWK, type JWK, SignJWT } from "jose";

const issuer = "https://gateway.tyto.internal";
const audience = "convex";
/** At most 15 minutes: what a token says about a person may be that old. */
const userTokenMs = 10 * 60_000;
const serviceTokenMs = 15 * 60_000;
/** A service token is replaced this long before its end, so that none runs out on the way. */
const renewBeforeMs = 60_000;

export type Tokens = {
  /** For a signed-in person's browser. */
  forUser(user: { id: string; email: string; name: string }): Promise<{ token: string; expiresAt: number }>;
  /** For the gateway's own calls; the same one until shortly before it ends. */
  forService(): Promise<string>;
};

/** Signs with a private P-256 JWK. Times are whole seconds in the token (RFC 7519 §2). */
export function createTokens(jwk: JWK, now: () => number = Date.now): Tokens {
  const key = importJWK(jwk, "ES256");
  const sign = async (claims: Record<string, string>, subject: string, expiresAtMs: number) =>
    new SignJWT(claims)
      .setProtectedHeader({ alg: "ES256", kid: "gateway", typ: "JWT" })
      .setIssuer(issuer)
      .setAudience(audience)
      .setSubject(subject)
      .setIssuedAt(Math.floor(now() / 1_000))
      .setExpirationTime(Math.floor(expiresAtMs / 1_000))
      .sign(await key);

  let service: { token: Promise<string>; expiresAtMs: number } | undefined;
  return {
    async forUser({ id, email, name }) {
      const expiresAt = now() + userTokenMs;
      return { token: await sign({ role: "user", email, name }, id, expiresAt), expiresAt };
    },
    forService() {
      if (service === undefined || service.expiresAtMs - renewBeforeMs <= now()) {
        const expiresAtMs = now() + serviceTokenMs;
        service = { token: sign({ role: "service" }, "gateway", expiresAtMs), expiresAtMs };
      }
      return service.token;
    },
  };
}
