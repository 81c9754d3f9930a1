import { afterAll, beforeAll, expect, test } from "bun:test";
import { site, startTestGateway, type TestGateway } from "../testing.ts";

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startTestGateway();
});
afterAll(() => gateway.stop());

const account = { name: "Ada", email: "Ada@tyto.test", password: "correct horse battery" };
const post = (body: unknown, headers: Record<string, string> = { origin: site }) =>
  gateway.request("/api/setup", {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify(body),
  });
const needed = async () =>
  ((await (await gateway.request("/api/setup")).json()) as { needed: boolean }).needed;

test("400 for a short password, and nothing is made", async () => {
  const answer = await post({ ...account, password: "short" });
  expect(answer.status).toBe(400);
  expect(await answer.json()).toMatchObject({ errors: [{ path: "password" }] });
  expect(await needed()).toBe(true);
});

test("403 for a page of another site", async () => {
  expect((await post(account, { origin: "https://evil.example" })).status).toBe(403);
});

test("200 for one of several at once, with a session; 409 for the others and from then on", async () => {
  const answers = await Promise.all([
    post(account),
    post({ ...account, email: "eve@tyto.test" }),
    post({ ...account, email: "mallory@tyto.test" }),
  ]);
  expect(answers.map(({ status }) => status)).toEqual([200, 409, 409]);
  expect(await needed()).toBe(false);
  const cookie = answers[0]?.headers.get("set-cookie") ?? "";
  expect(cookie).toMatch(/^tyto\.session_token=[^;]+;.*HttpOnly; SameSite=Lax/i);
  const session = await gateway.request("/api/session", { headers: { cookie: cookie.split(";")[0] ?? "" } });
  expect(await session.json()).toMatchObject({ user: { name: "Ada", email: "ada@tyto.test" } });
  expect((await post(account)).status).toBe(409);
});
