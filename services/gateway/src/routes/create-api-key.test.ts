import { afterAll, beforeAll, expect, test } from "bun:test";
import type { ApiKeyView } from "@tyto/contracts";
import { startTestGateway, type TestGateway } from "../testing.ts";

let gateway: TestGateway;
beforeAll(async () => {
  // What is written to Convex never comes back to the buckets here: the recorder is down.
  gateway = await startTestGateway({ syncs: false });
});
afterAll(() => gateway.stop());

const create = (body: unknown, headers?: Record<string, string>) =>
  gateway.call("POST", "/v1/api-keys", body, headers);

test("201 shows the key, which works at once and only for its scopes", async () => {
  const answer = await create({ name: "shop", scopes: ["emails:read", "emails:read"] });
  expect(answer.status).toBe(201);
  expect(answer.headers.get("cache-control")).toBe("no-store");
  const made = (await answer.json()) as ApiKeyView & { key: string };
  expect(made.key).toMatch(/^tyto_[0-9A-Za-z]{43}$/);
  expect(made.key.startsWith(made.prefix)).toBe(true);
  expect(made.scopes).toEqual(["emails:read"]);
  const headers = { authorization: `Bearer ${made.key}` };
  expect((await gateway.request("/v1/emails", { headers })).status).toBe(200);
  expect((await gateway.request("/v1/domains", { headers })).status).toBe(403);
});

test("400 without a scope, with one that is not known, and without a name", async () => {
  for (const body of [
    { name: "a", scopes: [] },
    { name: "a", scopes: ["all"] },
    { name: "", scopes: ["admin"] },
  ])
    expect((await create(body)).status).toBe(400);
});

test("403 for a key without admin: no key makes a stronger one", async () => {
  const key = await gateway.key("emails:send", "emails:read", "suppressions:write", "domains:write");
  const answer = await create({ name: "a", scopes: ["admin"] }, { authorization: `Bearer ${key}` });
  expect(answer.status).toBe(403);
});
