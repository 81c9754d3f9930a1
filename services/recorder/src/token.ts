import { importJWK, type JWK, SignJWT } from "jose";

const issuer = "https://recorder.tyto.internal";
const tokenS = 900;

/** A service token for Convex (ES256, 15 minutes), made anew on each call. */
export function createToken(jwk: JWK, now: () => number): () => Promise<string> {
  const key = importJWK(jwk, "ES256");
  return async () => {
    const issuedAtS = Math.floor(now() / 1_000);
    return new SignJWT({ role: "service" })
      .setProtectedHeader({ alg: "ES256", kid: "recorder", typ: "JWT" })
      .setIssuer(issuer)
      .setSubject("recorder")
      .setAudience("convex")
      .setIssuedAt(issuedAtS)
      .setExpirationTime(issuedAtS + tokenS)
      .sign(await key);
  };
}
