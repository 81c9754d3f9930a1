import { z } from "zod";
import { HttpProblem } from "../http/problem.ts";
import { isSameSecret } from "./admin.ts";
import { type Identity, identityFrom } from "./identity.ts";
import type { Tokens } from "./tokens.ts";

/** Who makes a request. An admin may act as a user. */
export type Caller = { isAdmin: boolean; identity: Identity | null };

export const ANONYMOUS: Caller = { isAdmin: false, identity: null };

/** Attributes of the user that an admin acts as. */
export const ActingAs = z
  .object({ subject: z.string(), issuer: z.string(), tokenIdentifier: z.string().optional() })
  .catchall(z.json());

/** Reads Authorization headers: "Convex <admin key>[:<identity>]" and "Bearer <JWT>". */
export class Callers {
  readonly #adminKey: string;
  readonly #tokens: Tokens;

  constructor(adminKey: string, tokens: Tokens) {
    this.#adminKey = adminKey;
    this.#tokens = tokens;
  }

  isAdminKey(key: string): boolean {
    return isSameSecret(key, this.#adminKey);
  }

  /** Throws HttpProblem 401 or 403 when credentials are given and wrong. */
  async of(authorization: string | null): Promise<Caller> {
    if (authorization === null) return ANONYMOUS;
    const [scheme = "", credentials = ""] = authorization.split(/ (.*)/s, 2);
    if (scheme === "Bearer")
      return { isAdmin: false, identity: (await this.#tokens.verify(credentials)).identity };
    if (scheme === "Convex") return this.#admin(credentials);
    throw new HttpProblem(
      401,
      "InvalidAuthorization",
      "Authorization must be 'Bearer <token>' or 'Convex <key>'",
    );
  }

  #admin(credentials: string): Caller {
    const [key = "", actingAs] = credentials.split(":", 2);
    if (!this.isAdminKey(key))
      throw new HttpProblem(403, "BadAdminKey", "The provided admin key is not valid");
    return { isAdmin: true, identity: actingAs === undefined ? null : parseActingAs(actingAs) };
  }
}

function parseActingAs(encoded: string): Identity {
  try {
    return actingAs(JSON.parse(Buffer.from(encoded, "base64").toString()));
  } catch (error) {
    throw new HttpProblem(
      401,
      "InvalidAuthorization",
      `The identity to act as is not valid: ${(error as Error).message}`,
    );
  }
}

/** Throws ZodError. */
export function actingAs(attributes: unknown): Identity {
  const { subject, issuer, tokenIdentifier, ...claims } = ActingAs.parse(attributes);
  const identity = identityFrom(issuer, subject, {});
  return { ...claims, ...identity, tokenIdentifier: tokenIdentifier ?? identity.tokenIdentifier };
}
