import { afterAll, beforeAll, expect, test } from "bun:test";
import { decodeJwt, decodeProtectedHeader } from "jose";
import { site, startTestGateway, type TestGateway } from "../testing.ts";

let gateway: TestGateway;
let cookie: string;
beforeAll(async () => {
  gateway = await startTestGateway();
  await gateway.addDomain("example.com");
  cookie = await gateway.signIn();
});
afterAll(() => gateway.stop());

const mail = { from: "ann@example.com", to: "bob@example.org", subject: "Hi", text: "x" };
const send = (headers: Record<string, string>) =>
  gateway.request("/v1/emails", {
    method: "POST",
    headers: { "content-type": "application/json", cookie, ...headers },
    body: JSON.stringify(mail),
  });

test("200 /api/session tells who is signed in, /api/token gives their token for Convex", async () => {
  const session = await gateway.request("/api/session", { headers: { cookie } });
  const { user } = (await session.json()) as { user: { id: string; email: string } };
  expect(user.email).toBe("ada@tyto.test");
  const answer = await gateway.request("/api/token", { headers: { cookie } });
  expect(answer.status).toBe(200);
  const { token, expiresAt } = (await answer.json()) as { token: string; expiresAt: number };
  expect(expiresAt - gateway.clock.now).toBeLessThanOrEqual(15 * 60_000);
  expect(decodeProtectedHeader(token)).toMatchObject({ alg: "ES256", kid: "gateway" });
  expect(decodeJwt(token)).toMatchObject({
    iss: "https://gateway.tyto.internal",
    aud: "convex",
    sub: user.id,
    role: "user",
    exp: Math.floor(expiresAt / 1_000),
  });
});

test("401 without a session, and with a cookie that was not made here", async () => {
  for (const headers of [{}, { cookie: "tyto.session_token=forged.signature" }])
    for (const path of ["/api/session", "/api/token", "/v1/emails"])
      expect((await gateway.request(path, { headers })).status).toBe(401);
});

test("a signed-in person uses /v1 from the dashboard's pages", async () => {
  expect((await gateway.request("/v1/emails", { headers: { cookie } })).status).toBe(200);
  expect((await send({ origin: site })).status).toBe(202);
});

test("403 for a write with the cookie from another site, or from nowhere", async () => {
  for (const headers of [{ origin: "https://evil.example" }, { origin: "null" }, {}] as Record<
    string,
    string
  >[])
    expect((await send(headers)).status).toBe(403);
});

test("401 for a person whose account was disabled", async () => {
  const { id } = await gateway.convex.run(async (ctx) => {
    const user = await ctx.db.query("users").first();
    if (user === null) throw new Error("nobody");
    await ctx.db.patch(user._id, { disabled: true });
    return { id: user._id };
  });
  expect((await gateway.request("/api/session", { headers: { cookie } })).status).toBe(401);
  await gateway.convex.run((ctx) => ctx.db.patch(id, { disabled: false }));
});
