import { importJWK, type JWK, SignJWT } from "jose";

const tokenMs = 15 * 60_000;

/** A new service token for Convex, issued by the recorder for itself alone (RFC 7519, ES256). */
export async function serviceToken(jwk: JWK, nowMs: number): Promise<string> {
  return new SignJWT({ role: "service" })
    .setProtectedHeader({ alg: "ES256", kid: "recorder", typ: "JWT" })
    .setIssuer("https://recorder.tyto.internal")
    .setAudience("convex")
    .setSubject("recorder")
    .setIssuedAt(Math.floor(nowMs / 1_000))
    .setExpirationTime(Math.floor((nowMs + tokenMs) / 1_000))
    .sign(await importJWK(jwk, "ES256"));
}
