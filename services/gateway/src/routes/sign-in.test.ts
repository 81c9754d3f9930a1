import { afterAll, beforeAll, expect, test } from "bun:test";
import { site, startTestGateway, type TestGateway } from "../testing.ts";

let gateway: TestGateway;
let cookie: string;
beforeAll(async () => {
  gateway = await startTestGateway({ config: { trustProxy: true } });
  cookie = await gateway.signIn();
});
afterAll(() => gateway.stop());

const post = (path: string, body: unknown, headers: Record<string, string> = {}) =>
  gateway.request(`/api/auth${path}`, {
    method: "POST",
    headers: { "content-type": "application/json", origin: site, ...headers },
    body: JSON.stringify(body),
  });
const signIn = (password: string, email = "ada@tyto.test") => post("/sign-in/email", { email, password });

test("200 with the right password, and a session cookie", async () => {
  const answer = await signIn("correct horse battery", "ADA@tyto.test");
  expect(answer.status).toBe(200);
  const own = answer.headers.get("set-cookie")?.split(";")[0] ?? "";
  expect((await gateway.request("/api/session", { headers: { cookie: own } })).status).toBe(200);
});

test("401 with a wrong password and for somebody unknown, in the same words", async () => {
  const wrong = await signIn("wrong horse battery");
  const unknown = await signIn("correct horse battery", "eve@tyto.test");
  expect([wrong.status, unknown.status]).toEqual([401, 401]);
  expect(wrong.headers.get("content-type")).toBe("application/problem+json");
  expect(await wrong.json()).toEqual(await unknown.json());
});

test("403 from another site", async () => {
  const answer = await post(
    "/sign-in/email",
    { email: "ada@tyto.test", password: "correct horse battery" },
    { origin: "https://evil.example" },
  );
  expect(answer.status).toBe(403);
});

test("404 for signing up: accounts are not a stranger's to make", async () => {
  const answer = await post("/sign-up/email", {
    name: "Eve",
    email: "eve@tyto.test",
    password: "x".repeat(20),
  });
  expect(answer.status).toBe(404);
  expect(await answer.json()).toMatchObject({ code: "resource.unknown" });
});

test("200 for signing out, and the cookie is worth nothing any more", async () => {
  expect((await post("/sign-out", {}, { cookie })).status).toBe(200);
  expect((await gateway.request("/api/session", { headers: { cookie } })).status).toBe(401);
});

test("429 after ten wrong passwords for an account within a minute, whatever comes then", async () => {
  const statuses: number[] = [];
  for (let attempt = 0; attempt < 11; attempt++)
    statuses.push((await signIn("wrong", "target@tyto.test")).status);
  expect(statuses).toEqual([...Array.from({ length: 10 }, () => 401), 429]);
  const answer = await signIn("wrong", "target@tyto.test");
  expect(Number(answer.headers.get("retry-after"))).toBeGreaterThan(0);
  gateway.clock.now += 60_000;
  expect((await signIn("wrong", "target@tyto.test")).status).toBe(401);
}, 60_000); // Each password is hashed at its full cost.

test("one address that guesses keeps nobody else out of the account; many together wait, too", async () => {
  const from = (address: string, password: string | undefined) =>
    post(
      "/sign-in/email",
      { email: "ada@tyto.test", password },
      { "x-forwarded-for": `10.0.0.1, ${address}` },
    );
  gateway.clock.now += 60_000;
  // An attempt without a password counts, and costs no hash.
  for (let attempt = 0; attempt < 10; attempt++)
    expect((await from("198.51.100.1", undefined)).status).toBe(400);
  expect((await from("198.51.100.1", "correct horse battery")).status).toBe(429);
  expect((await from("198.51.100.2", "correct horse battery")).status).toBe(200);
  const statuses: number[] = [];
  for (let attempt = 0; attempt < 90; attempt++)
    statuses.push((await from(`203.0.113.${attempt}`, undefined)).status);
  expect(statuses.indexOf(429)).toBe(89);
}, 60_000);

test("429 after ten tries to change the password within a minute, with a session too", async () => {
  gateway.clock.now += 60_000;
  const signedIn = await signIn("correct horse battery");
  const own = signedIn.headers.get("set-cookie")?.split(";")[0] ?? "";
  const change = () => post("/change-password", { newPassword: "x".repeat(20) }, { cookie: own });
  for (let attempt = 0; attempt < 10; attempt++) expect((await change()).status).toBe(400);
  expect((await change()).status).toBe(429);
}, 60_000);
