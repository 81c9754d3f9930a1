/**
 * People and their sessions: the one module that knows better-auth. E-mail and password only; accounts are made by the
 * first start, never by a stranger's sign-up.
 */
import { Failure } from "@tyto/contracts";
import type { Log } from "@tyto/service";
import { betterAuth } from "better-auth";
import type { AdapterFactory } from "better-auth/adapters";
import type { BetterAuthOptions } from "better-auth/types";
import { createAttempts } from "./attempts.ts";
import { foreignOrigin, isOwnOrigin, isWrite } from "./caller.ts";
import { problemResponse } from "./problems.ts";

export type Person = { id: string; email: string; name: string };

export type Auth = {
  /** Answers /api/auth/*; `clientIp` is who asks, for the limit on attempts. */
  handle(request: Request, clientIp: string): Promise<Response>;
  /** The person of the request's session cookie; `undefined` without a valid session or for a disabled account. */
  person(headers: Headers): Promise<Person | undefined>;
  /** True until the first account is whole. */
  isSetupNeeded(): Promise<boolean>;
  /** Makes the first account and signs in: the answer carries the session cookie. Throws Failure `setup.done`. */
  setup(account: { name: string; email: string; password: string }, request: Request): Promise<Response>;
};

export type AuthOptions = {
  store: AdapterFactory<BetterAuthOptions>;
  siteUrl: string;
  secret: string;
  log: Log;
  now?: () => number;
};

const sessionDays = 14;
const passwordCharsMin = 12;
const passwordCharsMax = 128;
const attemptsPerAddressMax = 30;
/** Of one address at one account; from everywhere ten times that, so that a stranger cannot easily keep its owner out. */
const attemptsAtAccountMax = 10;
const attemptsPerAccountMax = 100;

/** What the dashboard uses of better-auth's routes. Sign-up is not among them. */
const routes: ReadonlySet<string> = new Set([
  "POST /sign-in/email",
  "POST /sign-out",
  "GET /get-session",
  "GET /list-sessions",
  "POST /revoke-session",
  "POST /revoke-other-sessions",
  "POST /change-password",
  "POST /update-user",
]);

export function createAuth({ store, siteUrl, secret, log, now = Date.now }: AuthOptions): Auth {
  const attempts = createAttempts(now);
  const auth = betterAuth({
    baseURL: siteUrl,
    basePath: "/api/auth",
    secret,
    database: store,
    emailAndPassword: {
      enabled: true,
      minPasswordLength: passwordCharsMin,
      maxPasswordLength: passwordCharsMax,
    },
    user: { additionalFields: { disabled: { type: "boolean", required: false, input: false } } },
    session: { expiresIn: sessionDays * 86_400, updateAge: 86_400 },
    advanced: {
      cookiePrefix: "tyto",
      useSecureCookies: siteUrl.startsWith("https:"),
      defaultCookieAttributes: { sameSite: "lax", httpOnly: true },
    },
    // Ours: it counts per account too, and answers in our shape.
    rateLimit: { enabled: false },
    trustedOrigins: (request) =>
      request !== undefined && isOwnOrigin(request, siteUrl) ? [request.headers.get("origin")] : [],
    telemetry: { enabled: false },
    logger: {
      level: "warn",
      log: (level, message) => log[level === "error" ? "error" : "warn"]("auth.library", { message }),
    },
  });
  /** One at a time: two first starts at once must not make two administrators. */
  let settingUp: Promise<unknown> = Promise.resolve();

  const isSetupNeeded = async () => {
    const { adapter } = await auth.$context;
    return (await adapter.count({ model: "account" })) === 0;
  };

  async function createFirst(account: { name: string; email: string; password: string }, request: Request) {
    if (!(await isSetupNeeded())) throw new Failure("setup.done", "an account exists");
    // A first start that was cut short left a person without a password, whom nobody could sign in as.
    const { adapter } = await auth.$context;
    for (const { id } of await adapter.findMany<{ id: string }>({ model: "user" }))
      await adapter.delete({ model: "user", where: [{ field: "id", value: id }] });
    const answer = await auth.api.signUpEmail({ body: account, headers: request.headers, asResponse: true });
    if (!answer.ok)
      throw new Failure("request.invalid", `sign-up answered ${answer.status}`, {
        hint: await messageIn(answer),
      });
    log.info("setup.done");
    return answer;
  }

  return {
    isSetupNeeded,
    setup(account, request) {
      const next = settingUp.then(() => createFirst(account, request));
      settingUp = next.catch(() => undefined); // The caller hears of it; the next one starts fresh.
      return next;
    },

    async person(headers) {
      const session = await auth.api.getSession({ headers });
      if (session === null || session.user.disabled === true) return undefined;
      const { id, email, name } = session.user;
      return { id, email, name };
    },

    async handle(request, clientIp) {
      const route = `${request.method} ${new URL(request.url).pathname.slice("/api/auth".length)}`;
      if (!routes.has(route)) throw new Failure("resource.unknown", `no route ${route}`);
      if (isWrite(request) && !isOwnOrigin(request, siteUrl)) throw foreignOrigin();
      if (route === "POST /sign-in/email") {
        const email = await emailIn(request.clone());
        attempts.count(`address ${clientIp}`, attemptsPerAddressMax);
        attempts.count(`address ${clientIp} at ${email}`, attemptsAtAccountMax);
        attempts.count(`account ${email}`, attemptsPerAccountMax);
        const answer = await auth.handler(request);
        if (answer.ok) attempts.forget(`address ${clientIp} at ${email}`);
        return inOurShape(answer);
      }
      // Whoever found a signed-in browser must not find out the password with it.
      if (route === "POST /change-password")
        attempts.count(`password from ${clientIp}`, attemptsAtAccountMax);
      return inOurShape(await auth.handler(request));
    },
  };
}

async function emailIn(request: Request): Promise<string> {
  const body: unknown = await request.json().catch(() => undefined); // The library says what is wrong with it.
  const email = typeof body === "object" && body !== null && "email" in body ? body.email : undefined;
  return typeof email === "string" ? email.toLowerCase().slice(0, 254) : "";
}

async function messageIn(answer: Response): Promise<string> {
  const body: unknown = await answer.json().catch(() => undefined); // An error without a body says nothing more.
  return typeof body === "object" && body !== null && "message" in body ? String(body.message) : "";
}

/** The library's errors as problems; `message` stays where its own browser client looks for it. */
async function inOurShape(answer: Response): Promise<Response> {
  if (answer.status < 400) return answer;
  const message = await messageIn(answer);
  const code =
    answer.status === 401
      ? "request.unauthenticated"
      : answer.status === 403
        ? "request.forbidden"
        : answer.status === 404
          ? "resource.unknown"
          : answer.status < 500
            ? "request.invalid"
            : "upstream.down";
  const failure = new Failure(code, `auth: ${answer.status}`, message === "" ? {} : { hint: message });
  return problemResponse(failure, undefined, { message });
}
