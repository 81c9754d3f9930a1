import { afterAll, beforeAll, expect, test } from "bun:test";
import type { ApiKeyView } from "@tyto/contracts";
import { startTestGateway, type TestGateway } from "../testing.ts";

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startTestGateway();
});
afterAll(() => gateway.stop());

test("200 lists keys, newest first, without their secrets, and tells when they were last used", async () => {
  for (const name of ["old", "new"]) await gateway.call("POST", "/v1/api-keys", { name, scopes: ["admin"] });
  const list = async (headers?: Record<string, string>) => {
    const answer = await gateway.call("GET", "/v1/api-keys", undefined, headers);
    expect(answer.status).toBe(200);
    return ((await answer.json()) as { data: ApiKeyView[] }).data;
  };
  expect((await list()).map(({ name }) => name)).toEqual(["new", "old"]);
  expect(JSON.stringify(await list())).not.toMatch(/hash|[0-9a-f]{64}|tyto_\w{20}/);

  const { key } = (await (
    await gateway.call("POST", "/v1/api-keys", { name: "used", scopes: ["admin"] })
  ).json()) as { key: string };
  await list({ authorization: `Bearer ${key}` });
  await gateway.settled();
  expect((await list())[0]).toMatchObject({
    name: "used",
    last_used_at: new Date(gateway.clock.now).toISOString(),
  });
});

test("403 without the scope", async () => {
  const headers = { authorization: `Bearer ${await gateway.key("emails:send", "domains:write")}` };
  expect((await gateway.request("/v1/api-keys", { headers })).status).toBe(403);
});
