import { createECDH, createHash, createPrivateKey, hkdfSync, type KeyObject, sign } from "node:crypto";
import { z } from "zod";
import { UserError } from "../functions/errors.ts";

const SECONDS_MAX = 3600;
const RESERVED_CLAIMS = new Set(["iss", "iat", "exp", "nbf"]);
const RESERVED_PREFIX = /^(?:convex|cvx)/i;

const Options = z.object({
  claims: z.record(z.string(), z.json()).nullish(),
  expiresInSeconds: z.number().int().min(1).max(SECONDS_MAX),
});

/** The public half of the key, as `/.well-known/jwks.json` gives it (RFC 7517). */
export type PublicJwk = {
  kty: "EC";
  crv: "P-256";
  x: string;
  y: string;
  kid: string;
  alg: "ES256";
  use: "sig";
};

/** Signs tokens for `ctx.auth.signJwt()`. The key follows from the instance secret, so nothing has to be stored. */
export class Signing {
  readonly jwk: PublicJwk;
  readonly #key: KeyObject;

  constructor(instanceSecret: string) {
    const { privateKey, x, y } = keyFrom(instanceSecret);
    // The thumbprint of the key (RFC 7638): members in order of their names.
    const thumbprint = JSON.stringify({ crv: "P-256", kty: "EC", x, y });
    const kid = createHash("sha256").update(thumbprint).digest("base64url");
    this.jwk = { kty: "EC", crv: "P-256", x, y, kid, alg: "ES256", use: "sig" };
    this.#key = privateKey;
  }

  /** A signed JWT (RFC 7519). Throws UserError for reserved claims and lifetimes outside 1 s to 1 h. */
  sign(issuer: string, given: unknown, nowMs: number): string {
    const parsed = Options.safeParse(given);
    if (!parsed.success) throw new UserError("InvalidJwt", `signJwt: ${z.prettifyError(parsed.error)}`);
    const { claims, expiresInSeconds } = parsed.data;
    for (const name of Object.keys(claims ?? {})) {
      if (RESERVED_CLAIMS.has(name) || RESERVED_PREFIX.test(name)) {
        throw new UserError("InvalidJwt", `signJwt: the claim ${JSON.stringify(name)} is reserved`);
      }
    }
    const iat = Math.floor(nowMs / 1000);
    const payload = { ...claims, iss: issuer, iat, exp: iat + expiresInSeconds };
    const body = `${encode({ alg: "ES256", typ: "JWT", kid: this.jwk.kid })}.${encode(payload)}`;
    const signature = sign("sha256", Buffer.from(body), { key: this.#key, dsaEncoding: "ieee-p1363" });
    return `${body}.${signature.toString("base64url")}`;
  }
}

const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");

function keyFrom(instanceSecret: string): { privateKey: KeyObject; x: string; y: string } {
  const curve = createECDH("prime256v1");
  // Almost every 32 bytes are a key of this curve; the counter is for the others.
  for (let counter = 0; ; counter++) {
    const bytes = Buffer.from(hkdfSync("sha256", instanceSecret, "", `convex jwt ${counter}`, 32));
    try {
      curve.setPrivateKey(bytes);
    } catch (error) {
      if (error instanceof Error && counter < 100) continue;
      throw error;
    }
    const point = curve.getPublicKey();
    const x = point.subarray(1, 33).toString("base64url");
    const y = point.subarray(33, 65).toString("base64url");
    const key = { kty: "EC", crv: "P-256", x, y, d: bytes.toString("base64url") };
    return { privateKey: createPrivateKey({ key, format: "jwk" }), x, y };
  }
}
