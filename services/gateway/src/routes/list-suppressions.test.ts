import { afterAll, beforeAll, expect, test } from "bun:test";
import type { SuppressionView } from "@tyto/contracts";
import { startTestGateway, type TestGateway } from "../testing.ts";

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startTestGateway();
  for (const name of ["carl", "ann", "bob"])
    expect((await gateway.call("POST", "/v1/suppressions", { address: `${name}@example.org` })).status).toBe(
      201,
    );
});
afterAll(() => gateway.stop());

type Page = { data: SuppressionView[]; next_cursor: string | null };
const list = async (query: string) =>
  (await (await gateway.call("GET", `/v1/suppressions${query}`)).json()) as Page;

test("200 lists addresses in their order, in pages", async () => {
  const one = await list("?limit=2");
  expect(one.data.map(({ address }) => address)).toEqual(["ann@example.org", "bob@example.org"]);
  const two = await list(`?limit=2&cursor=${one.next_cursor}`);
  expect(two.data).toEqual([
    { address: "carl@example.org", cause: "manual", since: new Date(gateway.clock.now).toISOString() },
  ]);
  expect(two.next_cursor).toBeNull();
});

test("400 for a limit that is not one", async () => {
  expect((await gateway.call("GET", "/v1/suppressions?limit=-1")).status).toBe(400);
});

test("403 without the scope", async () => {
  const headers = { authorization: `Bearer ${await gateway.key("emails:read")}` };
  expect((await gateway.request("/v1/suppressions", { headers })).status).toBe(403);
});
