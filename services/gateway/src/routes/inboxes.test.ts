import { afterAll, beforeAll, expect, test } from "bun:test";
import { startTestGateway, type TestGateway } from "../testing.ts";

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startTestGateway({ makesKeys: true });
  await gateway.call("POST", "/v1/domains", { domain: "example.com" });
});
afterAll(() => gateway.stop());

const add = (pattern: unknown) => gateway.call("POST", "/v1/inboxes", { pattern });
const list = async () => (await (await gateway.call("GET", "/v1/inboxes")).json()).data;

test("an inbox is added, listed, known to the bucket, and removed", async () => {
  expect((await add("Support@Example.com")).status).toBe(201);
  expect((await add("support@example.com")).status).toBe(201);
  expect((await add("*@example.com")).status).toBe(201);
  expect(await list()).toMatchObject([{ pattern: "*@example.com" }, { pattern: "support@example.com" }]);
  const bounce = await gateway.nats.connect("bounce");
  const seen = new Map<string, string>();
  const watch = await bounce.bucket("INBOXES").watch((key, value) => {
    if (value !== undefined) seen.set(key, value.pattern);
  });
  watch.stop();
  expect([...seen.values()].sort()).toEqual(["*@example.com", "support@example.com"]);

  expect((await gateway.call("DELETE", "/v1/inboxes/Support%40example.com")).status).toBe(204);
  expect((await gateway.call("DELETE", "/v1/inboxes/*@example.com")).status).toBe(204);
  expect((await gateway.call("DELETE", "/v1/inboxes/*@example.com")).status).toBe(404);
  expect(await list()).toEqual([]);
});

test("400 for what is no address or domain, or a domain that is not ours", async () => {
  for (const pattern of ["support", "*", "a*b@example.com", "@example.com", "*@", 7])
    expect({ pattern, status: (await add(pattern)).status }).toEqual({ pattern, status: 400 });
  const foreign = await add("ann@elsewhere.example");
  expect(await foreign.json()).toMatchObject({
    code: "domain.unknown",
    detail: expect.stringContaining("Add elsewhere.example first"),
  });
});

test("403 without the scope", async () => {
  const headers = { authorization: `Bearer ${await gateway.key("emails:send")}` };
  expect((await gateway.request("/v1/inboxes", { headers })).status).toBe(403);
});
