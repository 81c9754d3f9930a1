import { afterAll, expect, test } from "bun:test";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { Random } from "../../fixtures/random.ts";
import { identityFrom } from "./identity.ts";
import { Tokens } from "./tokens.ts";

const NOW_MS = 1_700_000_000_000;
const now = () => NOW_MS;
const { publicKey, privateKey } = await generateKeyPair("RS256");
const jwk = { ...(await exportJWK(publicKey)), kid: "rsa", alg: "RS256", use: "sig" };

let keyRequests = 0;
const provider = Bun.serve({
  port: 0,
  hostname: "127.0.0.1",
  fetch(request) {
    const { pathname, origin } = new URL(request.url);
    if (pathname === "/keys") {
      keyRequests++;
      return Response.json({ keys: [jwk] });
    }
    return Response.json({ issuer: origin, jwks_uri: `${origin}/keys` });
  },
});
afterAll(() => provider.stop(true));
const issuer = `http://127.0.0.1:${provider.port}`;

const sign = (claims: Record<string, unknown>, { audience = "app", from = issuer, seconds = 3600 } = {}) =>
  new SignJWT(claims)
    .setProtectedHeader({ alg: "RS256", kid: "rsa" })
    .setIssuer(from)
    .setAudience(audience)
    .setSubject("ada")
    .setIssuedAt(NOW_MS / 1000)
    .setExpirationTime(NOW_MS / 1000 + seconds)
    .sign(privateKey);

test("an OpenID provider is discovered once, and its tokens are checked", async () => {
  const tokens = new Tokens(now);
  tokens.setProviders([{ domain: issuer, applicationID: "app" }]);
  const verified = await tokens.verify(await sign({ given_name: "Ada" }));
  expect(verified).toEqual({
    identity: { tokenIdentifier: `${issuer}|ada`, issuer, subject: "ada", givenName: "Ada" },
    expiresMs: NOW_MS + 3600_000,
  });
  await tokens.verify(await sign({ n: 1 }));
  await tokens.verify(await sign({ n: 2 }));
  expect(keyRequests).toBe(1);
});

const refused: [string, () => Promise<string>, string][] = [
  ["another audience", () => sign({}, { audience: "other" }), "not for app"],
  ["another issuer", () => sign({}, { from: "https://elsewhere.test" }), "no auth provider has the issuer"],
  ["an expired token", () => sign({}, { seconds: -10 }), "exp"],
  ["a changed token", async () => `${(await sign({})).slice(0, -6)}AAAAAA`, "signature"],
  [
    "a token signed with the wrong algorithm",
    async () =>
      new SignJWT({})
        .setProtectedHeader({ alg: "HS256" })
        .setIssuer(issuer)
        .setAudience("app")
        .setSubject("x")
        .setIssuedAt(NOW_MS / 1000)
        .setExpirationTime("1h")
        .sign(Buffer.alloc(32, 1)),
    "alg",
  ],
];
test.each(refused)("%s is refused", async (_name, make, reason) => {
  const tokens = new Tokens(now);
  tokens.setProviders([{ domain: issuer, applicationID: "app" }]);
  const token = await make();
  await expect(tokens.verify(token)).rejects.toThrow(reason);
});

test("text that is no token is refused as an invalid token, whatever it is", async () => {
  const random = new Random(12);
  const tokens = new Tokens(now);
  tokens.setProviders([{ domain: issuer, applicationID: "app" }]);
  const valid = await sign({});
  for (let round = 0; round < 100; round++) {
    const at = random.below(valid.length);
    const text = random.pick([
      random.string(30),
      valid.slice(0, at),
      `${valid.slice(0, at)}.${valid.slice(at)}`,
      "a.b.c",
    ]);
    const error: unknown = await tokens.verify(text).catch((thrown: unknown) => thrown);
    expect((error as { code?: string }).code).toBe("InvalidToken");
  }
});

test("known claims get their Convex names, nested ones dotted names, protocol claims none", () => {
  const claims = {
    iss: "i",
    aud: "a",
    exp: 1,
    phone_number: "1",
    updated_at: 5,
    org: { role: { name: "x" } },
  };
  expect(identityFrom("i", "s", claims)).toEqual({
    tokenIdentifier: "i|s",
    issuer: "i",
    subject: "s",
    phoneNumber: "1",
    updatedAt: "5",
    "org.role.name": "x",
  });
});
