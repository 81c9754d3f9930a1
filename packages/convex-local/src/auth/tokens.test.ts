import { afterAll, expect, test } from "bun:test";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { Random } from "../../fixtures/random.ts";
import { identityFrom } from "./identity.ts";
import { FETCH_PAUSE_MS } from "./keys.ts";
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

test("a token of tomorrow is refused, one of a clock that is a little ahead is not", async () => {
  const tokens = new Tokens(now);
  tokens.setProviders([{ domain: issuer, applicationID: "app" }]);
  const issuedIn = (seconds: number) =>
    new SignJWT({ nbf: NOW_MS / 1000 + seconds })
      .setProtectedHeader({ alg: "RS256", kid: "rsa" })
      .setIssuer(issuer)
      .setAudience(["other", "app"])
      .setSubject("ada")
      .setIssuedAt(NOW_MS / 1000 + seconds)
      .setExpirationTime(NOW_MS / 1000 + 86_400 * 2)
      .sign(privateKey);
  await tokens.verify(await issuedIn(4));
  await expect(tokens.verify(await issuedIn(6))).rejects.toThrow("nbf");
});

/** A provider whose keys change, with a count of how often it is asked. */
function rotatingProvider() {
  let keys: object[] = [];
  let isUp = true;
  let asked = 0;
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch(request) {
      const { pathname, origin } = new URL(request.url);
      asked++;
      if (!isUp) return new Response("down", { status: 503 });
      if (pathname === "/keys") return Response.json({ keys });
      return Response.json({ issuer: `${origin}/`, jwks_uri: `${origin}/keys` });
    },
  });
  const issuer = `http://127.0.0.1:${server.port}`;
  return {
    issuer,
    asked: () => asked,
    setUp: (value: boolean) => {
      isUp = value;
    },
    /** Takes a new key into use and forgets the others. */
    async rotate(alg: "RS256" | "ES256" | "EdDSA", kid: string) {
      const pair = await generateKeyPair(alg);
      keys = [{ ...(await exportJWK(pair.publicKey)), kid, alg, use: "sig" }];
      return (claims: Record<string, unknown> = {}) =>
        new SignJWT(claims)
          .setProtectedHeader({ alg, kid })
          .setIssuer(issuer)
          .setAudience("app")
          .setSubject(kid)
          .setIssuedAt(NOW_MS / 1000)
          .setExpirationTime(NOW_MS / 1000 + 3600)
          .sign(pair.privateKey);
    },
    stop: () => server.stop(true),
  };
}

test("new keys of a provider are fetched when a token names one, whatever the algorithm", async () => {
  const rotating = rotatingProvider();
  const tokens = new Tokens(now, 0);
  tokens.setProviders([{ domain: rotating.issuer, applicationID: "app" }]);
  const first = await rotating.rotate("RS256", "one");
  const old = await first({ n: 1 });
  expect((await tokens.verify(await first())).identity.subject).toBe("one");
  for (const [alg, kid] of [
    ["EdDSA", "two"],
    ["ES256", "three"],
  ] as const) {
    const sign = await rotating.rotate(alg, kid);
    expect((await tokens.verify(await sign())).identity.subject).toBe(kid);
  }
  await expect(tokens.verify(old)).rejects.toThrow("no applicable key");
  rotating.stop();
});

test("tokens with invented keys and providers that are down do not cause a flood of requests", async () => {
  const rotating = rotatingProvider();
  let ms = NOW_MS;
  const tokens = new Tokens(() => ms);
  tokens.setProviders([{ domain: rotating.issuer, applicationID: "app" }]);
  const sign = await rotating.rotate("ES256", "one");
  rotating.setUp(false);
  for (let n = 0; n < 50; n++) await expect(tokens.verify(await sign({ n }))).rejects.toThrow("503");
  expect(rotating.asked()).toBe(1);
  rotating.setUp(true);
  ms += 1000;
  await tokens.verify(await sign());
  const known = rotating.asked();
  const startedMs = performance.now();
  const { privateKey: foreign } = await generateKeyPair("ES256");
  for (let n = 0; n < 50; n++) {
    const invented = await new SignJWT({})
      .setProtectedHeader({ alg: "ES256", kid: `invented ${n}` })
      .setIssuer(rotating.issuer)
      .setAudience("app")
      .setSubject("x")
      .setIssuedAt(NOW_MS / 1000)
      .setExpirationTime(NOW_MS / 1000 + 3600)
      .sign(foreign);
    await expect(tokens.verify(invented)).rejects.toThrow("no applicable key");
  }
  // At most one in each pause, which is time on the wall: a busy machine needs more than one for all of these.
  const pauses = Math.floor((performance.now() - startedMs) / FETCH_PAUSE_MS);
  expect(rotating.asked() - known).toBeLessThanOrEqual(1 + pauses);
  rotating.stop();
});

test("a provider that answers for another issuer is not believed", async () => {
  const liar = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: () => Response.json({ issuer, jwks_uri: `${issuer}/keys` }),
  });
  const domain = `http://127.0.0.1:${liar.port}`;
  const tokens = new Tokens(now);
  tokens.setProviders([{ domain, applicationID: "app" }]);
  await expect(tokens.verify(await sign({}, { from: domain }))).rejects.toThrow(`is about ${issuer}`);
  liar.stop(true);
});

test("a customJwt provider takes its keys from a URL, and without applicationID any audience", async () => {
  const tokens = new Tokens(now);
  const custom = {
    type: "customJwt" as const,
    issuer: "https://custom.test/",
    jwks: `${issuer}/keys`,
    algorithm: "RS256" as const,
  };
  tokens.setProviders([custom]);
  const token = await sign(
    { "https://x.test/role": "admin" },
    { from: "https://custom.test", audience: "?" },
  );
  expect((await tokens.verify(token)).identity).toEqual({
    tokenIdentifier: "https://custom.test|ada",
    issuer: "https://custom.test",
    subject: "ada",
    "https://x.test/role": "admin",
  });
  tokens.setProviders([{ ...custom, applicationID: "app" }]);
  await expect(tokens.verify(token)).rejects.toThrow("not for app");
  tokens.setProviders([{ ...custom, algorithm: "ES256" }]);
  await expect(tokens.verify(token)).rejects.toThrow("alg");
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
