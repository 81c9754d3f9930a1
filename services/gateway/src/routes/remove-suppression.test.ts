import { afterAll, beforeAll, expect, test } from "bun:test";
import { startTestGateway, type TestGateway } from "../testing.ts";

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startTestGateway();
  await gateway.addDomain("example.com");
});
afterAll(() => gateway.stop());

const remove = (address: string) => gateway.call("DELETE", `/v1/suppressions/${encodeURIComponent(address)}`);

test("204 comes when mail to the address is accepted again", async () => {
  await gateway.call("POST", "/v1/suppressions", { address: "bob+news@example.org" });
  expect((await remove("Bob+news@example.org")).status).toBe(204);
  const mail = { from: "ann@example.com", to: "bob+news@example.org", subject: "Hi", text: "x" };
  expect((await gateway.call("POST", "/v1/emails", mail)).status).toBe(202);
});

test("404 for an address that is not on the list", async () => {
  expect((await remove("nobody@example.org")).status).toBe(404);
});

test("400 for what is no address", async () => {
  expect((await remove("nobody")).status).toBe(400);
});

test("403 without the scope", async () => {
  const headers = { authorization: `Bearer ${await gateway.key("domains:write")}` };
  const answer = await gateway.request("/v1/suppressions/a@example.org", { method: "DELETE", headers });
  expect(answer.status).toBe(403);
});
