import type { Json } from "../values/wire.ts";
import { isObject } from "../values/wire.ts";

/** What `ctx.auth.getUserIdentity()` gives: known claims in camel case, others as they are. */
export type Identity = { tokenIdentifier: string; issuer: string; subject: string; [claim: string]: Json };

/** Standard claims (OpenID Connect Core §5.1) and the names under which Convex gives them. */
const KNOWN_CLAIMS: Record<string, string> = {
  name: "name",
  given_name: "givenName",
  family_name: "familyName",
  nickname: "nickname",
  preferred_username: "preferredUsername",
  profile: "profileUrl",
  picture: "pictureUrl",
  email: "email",
  email_verified: "emailVerified",
  gender: "gender",
  birthdate: "birthday",
  zoneinfo: "timezone",
  locale: "language",
  phone_number: "phoneNumber",
  phone_number_verified: "phoneNumberVerified",
  address: "address",
  updated_at: "updatedAt",
};
const PROTOCOL_CLAIMS = new Set(["iss", "sub", "aud", "exp", "iat", "nbf", "jti"]);

/** The identity that verified claims stand for. Members of nested custom claims get dotted names. */
export function identityFrom(
  issuer: string,
  subject: string,
  claims: Record<string, Json | undefined>,
): Identity {
  const identity: Identity = { tokenIdentifier: `${issuer}|${subject}`, issuer, subject };
  for (const [name, claim] of Object.entries(claims)) {
    if (claim === undefined || PROTOCOL_CLAIMS.has(name)) continue;
    const known = KNOWN_CLAIMS[name];
    if (known !== undefined) identity[known] = asText(name, claim);
    else flatten(name, claim, identity);
  }
  return identity;
}

/** Convex gives these two as text: a time as it is written, and an address as one would print it (§5.1.1). */
function asText(name: string, claim: Json): Json {
  if (name === "updated_at") return String(claim);
  return name === "address" && isObject(claim) ? (claim.formatted ?? null) : claim;
}

function flatten(name: string, claim: Json, into: Identity): void {
  if (!isObject(claim)) into[name] = claim;
  else for (const [key, member] of Object.entries(claim)) flatten(`${name}.${key}`, member, into);
}
