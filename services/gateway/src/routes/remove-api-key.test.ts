import { afterAll, beforeAll, expect, test } from "bun:test";
import { startTestGateway, type TestGateway } from "../testing.ts";

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startTestGateway();
});
afterAll(() => gateway.stop());

const make = async () =>
  (await (await gateway.call("POST", "/v1/api-keys", { name: "a", scopes: ["emails:read"] })).json()) as {
    id: string;
    key: string;
  };
const statusWith = async (key: string) =>
  (await gateway.request("/v1/emails", { headers: { authorization: `Bearer ${key}` } })).status;

test("204 and the key is refused at once", async () => {
  const { id, key } = await make();
  expect(await statusWith(key)).toBe(200);
  expect((await gateway.call("DELETE", `/v1/api-keys/${id}`)).status).toBe(204);
  expect(await statusWith(key)).toBe(401);
});

test("a key that another gateway removed is refused as soon as the bucket says so", async () => {
  const key = await gateway.key("emails:read");
  expect(await statusWith(key)).toBe(200);
  await gateway.revoke(key);
  expect(await statusWith(key)).toBe(401);
});

test("404 for an id that is not known", async () => {
  expect((await gateway.call("DELETE", "/v1/api-keys/key_none")).status).toBe(404);
});

test("403 without the scope", async () => {
  const { id, key } = await make();
  const headers = { authorization: `Bearer ${key}` };
  expect((await gateway.request(`/v1/api-keys/${id}`, { method: "DELETE", headers })).status).toBe(403);
});
