import { afterAll, beforeAll, expect, test } from "bun:test";
import { startTestGateway, type TestGateway } from "../testing.ts";

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startTestGateway({ makesKeys: true });
});
afterAll(() => gateway.stop());

test("204 and no mail can be sent from it; it can be added again", async () => {
  await gateway.call("POST", "/v1/domains", { domain: "example.com" });
  expect((await gateway.call("DELETE", "/v1/domains/example.com")).status).toBe(204);
  const mail = { from: "ann@example.com", to: "bob@example.org", subject: "Hi", text: "x" };
  expect((await gateway.call("POST", "/v1/emails", mail)).status).toBe(422);
  expect((await gateway.call("POST", "/v1/domains", { domain: "example.com" })).status).toBe(201);
  expect((await gateway.call("POST", "/v1/emails", mail)).status).toBe(202);
});

test("404 for a domain that is not set up", async () => {
  expect((await gateway.call("DELETE", "/v1/domains/nowhere.example")).status).toBe(404);
});

test("403 without the scope", async () => {
  const headers = { authorization: `Bearer ${await gateway.key("emails:send")}` };
  const answer = await gateway.request("/v1/domains/example.com", { method: "DELETE", headers });
  expect(answer.status).toBe(403);
});
