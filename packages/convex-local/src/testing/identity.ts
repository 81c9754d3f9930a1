import type { Identity } from "../auth/identity.ts";
import type { Json } from "../values/wire.ts";

/** Any part of an identity; what is missing is made up. */
export type TestIdentity = {
  subject?: string;
  issuer?: string;
  tokenIdentifier?: string;
  [claim: string]: Json | undefined;
};

/** The identity that functions see. The same attributes give the same subject. */
export function identityOf(given: TestIdentity): Identity {
  const claims = Object.fromEntries(
    Object.entries(given).flatMap(([name, claim]) => (claim === undefined ? [] : [[name, claim]])),
  );
  const subject = given.subject ?? String(hash(JSON.stringify(given)));
  const issuer = given.issuer ?? "https://convex.test";
  return { ...claims, subject, issuer, tokenIdentifier: given.tokenIdentifier ?? `${issuer}|${subject}` };
}

/** Java's hash of a text, in 32 bits. */
function hash(text: string): number {
  let sum = 0;
  for (let i = 0; i < text.length; i++) sum = (Math.imul(sum, 31) + text.charCodeAt(i)) | 0;
  return sum;
}

const CLAIM_OF: Record<string, string> = {
  subject: "sub",
  issuer: "iss",
  givenName: "given_name",
  familyName: "family_name",
  preferredUsername: "preferred_username",
  profileUrl: "profile",
  pictureUrl: "picture",
  emailVerified: "email_verified",
  birthday: "birthdate",
  timezone: "zoneinfo",
  language: "locale",
  phoneNumber: "phone_number",
  phoneNumberVerified: "phone_number_verified",
  updatedAt: "updated_at",
};
/** Said by the identity itself, whatever custom claims say. */
const OWN_CLAIMS = new Set(["tokenIdentifier", "iss", "sub"]);

/** The token that such an identity would come from, unsigned (RFC 7519 §6.1). */
export function tokenOf(identity: Identity): string {
  const claims = new Map<string, Json>();
  for (const [name, value] of Object.entries(identity)) {
    if (!OWN_CLAIMS.has(name))
      claims.set(Object.hasOwn(CLAIM_OF, name) ? (CLAIM_OF[name] ?? name) : name, value);
  }
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
  return `${part({ alg: "none", typ: "JWT" })}.${part(Object.fromEntries(claims))}.`;
}
