import { afterAll, beforeAll, expect, test } from "bun:test";
import { startTestGateway, type TestGateway } from "../testing.ts";

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startTestGateway({ makesKeys: true });
});
afterAll(() => gateway.stop());

test("200 lists all domains by name, looked up if the last look is old", async () => {
  expect(await (await gateway.call("GET", "/v1/domains")).json()).toEqual({ data: [] });
  await gateway.call("POST", "/v1/domains", { domain: "b.example" });
  await gateway.call("POST", "/v1/domains", { domain: "a.example" });
  const answer = await gateway.call("GET", "/v1/domains");
  expect(answer.status).toBe(200);
  expect(await answer.json()).toMatchObject({
    data: [
      { domain: "a.example", state: "pending" },
      { domain: "b.example", state: "pending" },
    ],
  });
});

test("403 without the scope", async () => {
  const headers = { authorization: `Bearer ${await gateway.key("emails:send")}` };
  expect((await gateway.request("/v1/domains", { headers })).status).toBe(403);
});
