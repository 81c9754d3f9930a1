import { Failure } from "@tyto/contracts";
import { type Api, createRoute, problems } from "../api.ts";
import type { Auth, Person } from "../auth.ts";
import { Session, Token } from "../schemas.ts";
import type { Tokens } from "../tokens.ts";

export type SessionPorts = { auth: Pick<Auth, "person">; tokens: Pick<Tokens, "forUser"> };

/** GET /api/session: who is signed in. GET /api/token: their token for Convex. The dashboard's, hidden from the reference. */
export function session(api: Api, { auth, tokens }: SessionPorts): void {
  api.openapi(
    createRoute({
      hide: true,
      method: "get",
      path: "/api/session",
      responses: {
        200: { description: "Session", content: { "application/json": { schema: Session } } },
        ...problems(),
      },
    }),
    async (c) => {
      const { id, name, email } = await signedIn(auth, c.req.raw.headers);
      return c.json({ user: { id, name, email } }, 200);
    },
  );
  api.openapi(
    createRoute({
      hide: true,
      method: "get",
      path: "/api/token",
      responses: {
        200: { description: "Token", content: { "application/json": { schema: Token } } },
        ...problems(),
      },
    }),
    async (c) => c.json(await tokens.forUser(await signedIn(auth, c.req.raw.headers)), 200),
  );
}

/** The person of a request's session cookie. Throws Failure `request.unauthenticated` without one. */
export async function signedIn(auth: Pick<Auth, "person">, headers: Headers): Promise<Person> {
  const person = headers.has("cookie") ? await auth.person(headers) : undefined;
  if (person === undefined)
    throw new Failure("request.unauthenticated", "no session", { hint: "Sign in first" });
  return person;
}
